// SQLite, as much of it as sql-analytics uses: a database in memory, and what it says as one line.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/mix.h"

namespace fallow::guests {

// All rows of an answer.
struct Answer {
  std::uint64_t rows = 0;
  Fingerprint sum;  // depends on every column of every row
};

class Database {
 public:
  // Whether there was memory for it shows with the first use.
  Database();

  // "", or what is wrong.
  std::string execute(const std::string& sql);
  std::string ask(const std::string& sql, Answer& answer);
  // Of one row with one column.
  std::string ask(const std::string& sql, std::string& text);

 private:
  friend class Statement;
  [[nodiscard]] std::string error() const;

  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close(database); }
  };
  std::unique_ptr<sqlite3, Close> database_;
};

// One statement, which may be run many times.
class Statement {
 public:
  // `database` must outlive it. "" in error(), or what is wrong.
  Statement(Database& database, std::string_view sql);

  [[nodiscard]] const std::string& error() const { return error_; }
  // Runs it with these for its question marks. False when it failed.
  bool run(std::span<const std::int64_t> numbers, const std::string& text = "");
  // True when there is another row; at the end, and when it failed, false.
  bool next();
  void add_row(Answer& answer) const;
  [[nodiscard]] std::string text() const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  bool good(int code);

  Database& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  std::string error_;
};

}  // namespace fallow::guests
