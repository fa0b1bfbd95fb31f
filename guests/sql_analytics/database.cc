#include "sql_analytics/database.h"

#include <bit>

namespace fallow::guests {

Database::Database() {
  sqlite3* opened = nullptr;
  // Even one that could not be opened must be closed.
  sqlite3_open(":memory:", &opened);
  database_.reset(opened);
}

std::string Database::error() const {
  return std::string("SQLite: ") +
         (database_ == nullptr ? "out of memory" : sqlite3_errmsg(database_.get()));
}

std::string Database::execute(const std::string& sql) {
  Statement statement(*this, sql);
  while (statement.next()) {
  }
  return statement.error();
}

std::string Database::ask(const std::string& sql, Answer& answer) {
  Statement statement(*this, sql);
  while (statement.next()) {
    statement.add_row(answer);
  }
  return statement.error();
}

std::string Database::ask(const std::string& sql, std::string& text) {
  Statement statement(*this, sql);
  if (statement.next()) {
    text = statement.text();
  }
  return statement.error();
}

Statement::Statement(Database& database, std::string_view sql) : database_(database) {
  sqlite3_stmt* prepared = nullptr;
  if (database.database_ == nullptr) {
    error_ = database.error();
    return;
  }
  good(sqlite3_prepare_v2(database.database_.get(), sql.data(), static_cast<int>(sql.size()),
                          &prepared, nullptr));
  statement_.reset(prepared);
}

bool Statement::good(int code) {
  if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE) {
    error_ = database_.error();
  }
  return error_.empty();
}

bool Statement::run(std::span<const std::int64_t> numbers, const std::string& text) {
  int place = 0;
  for (const std::int64_t number : numbers) {
    good(sqlite3_bind_int64(statement_.get(), ++place, number));
  }
  if (!text.empty()) {
    good(sqlite3_bind_text(statement_.get(), ++place, text.c_str(), -1, SQLITE_STATIC));
  }
  while (next()) {
  }
  return error_.empty() && good(sqlite3_reset(statement_.get()));
}

bool Statement::next() {
  if (!error_.empty()) {
    return false;
  }
  const int code = sqlite3_step(statement_.get());
  return good(code) && code == SQLITE_ROW;
}

void Statement::add_row(Answer& answer) const {
  ++answer.rows;
  for (int i = 0; i < sqlite3_column_count(statement_.get()); ++i) {
    const int type = sqlite3_column_type(statement_.get(), i);
    answer.sum.add(static_cast<std::uint64_t>(type));
    if (type == SQLITE_INTEGER) {
      answer.sum.add(static_cast<std::uint64_t>(sqlite3_column_int64(statement_.get(), i)));
    } else if (type == SQLITE_FLOAT) {
      answer.sum.add(std::bit_cast<std::uint64_t>(sqlite3_column_double(statement_.get(), i)));
    } else if (type == SQLITE_TEXT) {
      const void* bytes = sqlite3_column_blob(statement_.get(), i);
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), i));
      answer.sum.add_text({static_cast<const char*>(bytes), size});
    }
  }
}

std::string Statement::text() const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), 0));
  return text == nullptr ? "" : text;
}

}  // namespace fallow::guests
