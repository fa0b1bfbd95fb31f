// What a pager of a VM's memory leaves behind whenever it is killed: the records of the pages
// (pager/page_table.h), which it works on in this file, and before them whose they are and where
// the pages are that are not in RAM.
#pragma once

#include <fallow/fallow.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/file.h"
#include "base/result.h"
#include "pager/page_table.h"
#include "vmm_pager/vmm_process.h"

namespace fallow::vmm_pager {

// A file, told from others that have its name.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t bytes = 0;  // 0: they do not matter

  bool operator==(const FileIdentity&) const = default;
};

struct Guest {
  VmmProcess process;
  FileIdentity memory;
};

class StateFile {
 public:
  // Made when it is not there. kInvalid: another pager has it, or it is no such file.
  static Result<std::unique_ptr<StateFile>> open(const std::string& path);

  // What the daemon knows the last pager by that had this file.
  [[nodiscard]] fallow_secret secret() const { return header_->secret; }
  void set_secret(const fallow_secret& secret) { header_->secret = secret; }

  // Whether it is of a guest; what follows is for then.
  [[nodiscard]] bool holds() const { return header_->complete != 0; }
  [[nodiscard]] Guest guest() const { return {header_->process, header_->memory}; }
  [[nodiscard]] FileIdentity backing() const { return header_->backing; }
  // How many pages may be at a place.
  [[nodiscard]] std::uint64_t count(pager::Place place) const;
  // Of the pages of the guest's file from `offset` on.
  [[nodiscard]] std::span<pager::Page> records(std::uint64_t offset, std::uint64_t bytes) const;
  [[nodiscard]] std::shared_ptr<const Mapping> memory() const { return memory_; }

  // Of this guest, all of whose pages are untouched.
  Status begin(const Guest& guest, const FileIdentity& backing);
  // Of no guest.
  Status clear();
  void remove();

 private:
  struct Header {
    char magic[8];
    std::uint32_t version;
    std::uint32_t complete;  // written last
    VmmProcess process;
    FileIdentity memory;
    FileIdentity backing;
    fallow_secret secret;
  };

  StateFile(std::string path, UniqueFd file) : path_(std::move(path)), file_(std::move(file)) {}
  Status map();
  Status check() const;

  const std::string path_;
  const UniqueFd file_;
  std::shared_ptr<const Mapping> memory_;
  Header* header_ = nullptr;
};

}  // namespace fallow::vmm_pager
