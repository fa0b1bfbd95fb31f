#include "node/metrics.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace fallow::node {
namespace {

using testing::HasSubstr;
using testing::Not;

MetricsReading example_reading() {
  MetricsReading reading;
  reading.snapshot.node.policy = "smart-alloc:P=2,threshold=64";
  reading.snapshot.node.version = "1.0";
  reading.snapshot.node.frames_total = 100;
  reading.snapshot.node.decisions = 7;
  VmView vm;
  vm.name = "web";
  vm.used = 3;
  vm.target = 5;
  vm.total.puts_total = 10;
  vm.total.puts_succ = 4;
  vm.backing_reads = 8;
  reading.snapshot.vms = {vm};
  Histogram put_ns;
  put_ns.add(100);
  put_ns.add(1000);
  put_ns.add(100'000'000'000);  // beyond the last bound
  reading.latencies = {{"web", {put_ns.snapshot(), {}}}};
  return reading;
}

TEST(MetricsText, Node_inBaseUnits) {
  const std::string text = metrics_text(example_reading());
  EXPECT_THAT(text, HasSubstr("\nfallow_memory_total_bytes 409600\n"));
  EXPECT_THAT(text, HasSubstr("\nfallow_controller_decisions_total 7\n"));
  EXPECT_THAT(text, HasSubstr("policy=\"smart-alloc:P=2,threshold=64\""));
}

TEST(MetricsText, Vms_areLabelled) {
  const std::string text = metrics_text(example_reading());
  EXPECT_THAT(text, HasSubstr("fallow_vm_used_bytes{vm=\"web\"} 12288"));
  EXPECT_THAT(text, HasSubstr("fallow_vm_target_bytes{vm=\"web\"} 20480"));
  EXPECT_THAT(text, HasSubstr("fallow_vm_puts_total{vm=\"web\"} 10"));
  EXPECT_THAT(text, HasSubstr("fallow_vm_puts_failed_total{vm=\"web\"} 6"));
  EXPECT_THAT(text, HasSubstr("fallow_vm_pages_read_total{vm=\"web\",place=\"backing\"} 8"));
}

TEST(MetricsText, Quotas_areThere) {
  MetricsReading reading = example_reading();
  std::string text = metrics_text(reading);
  EXPECT_THAT(text, HasSubstr("fallow_vm_min_bytes{vm=\"web\"} 0"));
  EXPECT_THAT(text, HasSubstr("fallow_vm_max_bytes{vm=\"web\"} +Inf"));
  EXPECT_THAT(text, HasSubstr("fallow_vm_weight{vm=\"web\"} 100"));
  reading.snapshot.vms[0].quota = {.min = 1, .max = 2, .weight = 3};
  reading.snapshot.clients.resize(1);
  reading.snapshot.clients[0].name = "c";
  reading.snapshot.clients[0].quota = {.min = 4, .max = 5, .weight = 6};
  text = metrics_text(reading);
  EXPECT_THAT(text, HasSubstr("fallow_vm_min_bytes{vm=\"web\"} 4096"));
  EXPECT_THAT(text, HasSubstr("fallow_vm_max_bytes{vm=\"web\"} 8192"));
  EXPECT_THAT(text, HasSubstr("fallow_vm_weight{vm=\"web\"} 3"));
  EXPECT_THAT(text, HasSubstr("fallow_client_min_bytes{client=\"c\"} 16384"));
  EXPECT_THAT(text, HasSubstr("fallow_client_max_bytes{client=\"c\"} 20480"));
  EXPECT_THAT(text, HasSubstr("fallow_client_weight{client=\"c\"} 6"));
}

TEST(MetricsText, Histogram_isCumulativeAndCountsEverything) {
  const std::string text = metrics_text(example_reading());
  EXPECT_THAT(text, HasSubstr("fallow_vm_put_seconds_count{vm=\"web\"} 3"));
  EXPECT_THAT(text, HasSubstr("fallow_vm_put_seconds_bucket{vm=\"web\",le=\"2.55e-07\"} 1"));
  EXPECT_THAT(text, HasSubstr("fallow_vm_put_seconds_bucket{vm=\"web\",le=\"1.023e-06\"} 2"));
  EXPECT_THAT(text, HasSubstr("fallow_vm_put_seconds_bucket{vm=\"web\",le=\"+Inf\"} 3"));
}

TEST(MetricsText, Clients_whatTheySayIsNamedSo) {
  MetricsReading reading;
  reading.snapshot.clients.resize(2);
  reading.snapshot.clients[0].name = "pager";
  reading.snapshot.clients[0].connected = true;
  reading.snapshot.clients[0].report = {
      .age_ns = 1'500'000'000, .ram_limit_pages = 4, .faults_total = 7, .prefetch_hits_total = 2};
  reading.snapshot.clients[1].name = "silent";
  reading.snapshot.clients[1].used = 1;
  const std::string text = metrics_text(reading);
  EXPECT_THAT(text, HasSubstr("fallow_client_connected{client=\"pager\"} 1"));
  EXPECT_THAT(text, HasSubstr("fallow_client_used_bytes{client=\"silent\"} 4096"));
  EXPECT_THAT(text, HasSubstr("fallow_client_says_age_seconds{client=\"pager\"} 1.5"));
  EXPECT_THAT(text, HasSubstr("fallow_client_says_ram_limit_bytes{client=\"pager\"} 16384"));
  EXPECT_THAT(text, HasSubstr("fallow_client_says_faults_total{client=\"pager\"} 7"));
  EXPECT_THAT(text, HasSubstr("fallow_client_says_prefetch_hits_total{client=\"pager\"} 2"));
  EXPECT_THAT(text, Not(HasSubstr("fallow_client_says_age_seconds{client=\"silent\"}")));
}

TEST(MetricsText, NoVms_isFine) {
  EXPECT_FALSE(metrics_text({}).empty());
}

std::string http_get(int port, const std::string& path) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
  EXPECT_GT(::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL), 0);
  std::string answer;
  char buffer[4096];
  for (ssize_t got; (got = ::recv(fd.get(), buffer, sizeof buffer, 0)) > 0;) {
    answer.append(buffer, static_cast<std::size_t>(got));
  }
  return answer;
}

TEST(MetricsServer, Get_answersWithMetrics) {
  const auto server = MetricsServer::start("127.0.0.1:0", example_reading);
  ASSERT_TRUE(server.ok()) << server.error().text;
  EXPECT_THAT(http_get((*server)->port(), "/metrics"), HasSubstr("fallow_vm_used_bytes"));
}

TEST(MetricsServer, Start_portTaken_saysSo) {
  const auto first = MetricsServer::start("127.0.0.1:0", example_reading);
  ASSERT_TRUE(first.ok());
  const std::string listen = "127.0.0.1:" + std::to_string((*first)->port());
  const auto second = MetricsServer::start(listen, example_reading);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().text, HasSubstr(listen));
  EXPECT_EQ(second.error().text.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace fallow::node
