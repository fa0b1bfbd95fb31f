#include "lab/qemu_command.h"

#include <gmock/gmock.h>

namespace fallow::lab {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

QemuSettings settings() {
  return {.accelerator = Accelerator::kTcg,
          .ram_bytes = 176 << 20,
          .kernel_path = "k",
          .initramfs_path = "i",
          .console_path = "a,b/console",
          .channel_socket = "channel.sock",
          .disk_socket = "disk.sock"};
}

TEST(QemuCommand, SharesTheRamWithTheBackEnd) {
  const auto command = qemu_command(settings());
  EXPECT_THAT(command, Contains("memory-backend-memfd,id=ram,share=on,size=184549376"));
  EXPECT_THAT(command, Contains("184549376B"));
  EXPECT_THAT(command, Contains("vhost-user-blk-pci,chardev=disk"));
}

TEST(QemuCommand, HasNoDiskWithoutASocket) {
  QemuSettings diskless = settings();
  diskless.disk_socket.clear();
  QemuSettings over_nbd = diskless;
  over_nbd.nbd_socket = "nbd.sock";
  EXPECT_THAT(qemu_command(over_nbd),
              testing::Contains(testing::HasSubstr("server.path=nbd.sock")));
  EXPECT_THAT(qemu_command(diskless), Not(Contains(HasSubstr("vhost-user-blk"))));
}

TEST(QemuCommand, HandsTheRamToAPager) {
  QemuSettings paged = settings();
  paged.pager_socket = "pager.sock";
  paged.memory_path = "/dev/shm/ram";
  paged.pager_library = "/lib/vmm.so";
  EXPECT_THAT(
      qemu_command(paged),
      AllOf(Contains("env"), Contains("LD_PRELOAD=/lib/vmm.so"),
            Contains("FALLOW_PAGER_SOCKET=pager.sock"), Contains("FALLOW_PAGER_MEM=/dev/shm/ram"),
            Contains(HasSubstr("memory-backend-file,mem-path=/dev/shm/ram,id=ram"))));
}

TEST(QemuCommand, WritesACommaInAPathTwice) {
  EXPECT_THAT(qemu_command(settings()), Contains("file,id=console,path=a,,b/console"));
}

TEST(QemuCommand, SaysWhichAcceleratorAndThatEmulatedTimesAreNotNative) {
  QemuSettings kvm = settings();
  kvm.accelerator = Accelerator::kKvm;
  EXPECT_THAT(qemu_command(kvm), AllOf(Contains("kvm"), Not(Contains("tcg"))));
  EXPECT_THAT(qemu_command(settings()), AllOf(Contains("tcg"), Not(Contains("kvm"))));
  EXPECT_THAT(describe(Accelerator::kTcg), HasSubstr("not native"));
}

}  // namespace
}  // namespace fallow::lab
