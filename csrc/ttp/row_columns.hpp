// Rows of a frame as columns: from MessagePack into Arrow buffers, without an object a row.
//
// Takes *plain* rows: those whose values are of their columns' types. What is not plain it leaves to its caller,
// which knows every form and says what is wrong.
//
// Allocates and so may throw std::bad_alloc; does not block. Not thread-safe.
#pragma once

#include "ttp/column.hpp"
#include "ttp/msgpack.hpp"
#include "ttp/text_column.hpp"

#include <optional>
#include <vector>

namespace ttp {

// An argument of a row, as a column.
struct RowField {
  std::string_view name;
  ColumnType type = ColumnType::Value;
  bool nullable = false;
  Bytes fallback;  // the MessagePack value of rows that have none; empty: they must have one
};

class RowColumn {
 public:
  explicit RowColumn(const RowField& field) : field_(field), type_(field.type) {
    if (field.type == ColumnType::String) texts_.emplace();
  }

  const RowField& field() const noexcept { return field_; }
  ColumnType type() const noexcept { return type_; }  // TimestampUtc where a time has a zone
  const std::vector<uint8_t>& truths() const noexcept { return truths_; }
  const std::vector<uint64_t>& numbers() const noexcept { return numbers_; }
  // Of a column of strings alone, which has them.
  const TextColumn& texts() const noexcept { return *texts_; }  // NOLINT(bugprone-unchecked-optional-access)
  const std::vector<uint32_t>& ends() const noexcept { return ends_; }
  const std::vector<uint8_t>& values() const noexcept { return values_; }

  // Empty where every row has a value.
  std::vector<uint8_t> validity(size_t rows) const {
    if (nulls_.empty()) return {};
    std::vector<uint8_t> bits(Column::bitmap_size(rows), 0);
    for (size_t row = 0; row < rows; ++row) set(bits, row);
    for (const uint32_t row : nulls_) bits[row / 8] = static_cast<uint8_t>(bits[row / 8] & ~(1u << row % 8));
    return bits;
  }

  // Takes a row's value from where `in` stands, which ends at `end`. False if it is not plain.
  bool take(msgpack::Reader& in, const uint8_t* end, size_t row) {
    const uint8_t* begin = end - in.remaining();
    if (type_ == ColumnType::Value) return take_value(in, begin, end);
    msgpack::Token token;
    if (!in.next(token)) return false;
    if (token.type == msgpack::Type::Nil) return take_null(row);
    switch (type_) {
      case ColumnType::Bool: return take_bool(token, row);
      case ColumnType::Int64: return take_int(token);
      case ColumnType::Float64: return *begin != kFloat32 && take_float(token);
      case ColumnType::Timestamp:
      case ColumnType::TimestampUtc: return take_time(token);
      case ColumnType::String: return take_text(token);
      case ColumnType::Value: break;
    }
    return false;
  }

 private:
  using Token = msgpack::Token;
  using Type = msgpack::Type;

  static constexpr uint8_t kFloat32 = 0xca;  // its signalling NaNs change when they are widened
  static constexpr int8_t kDatetime = 1;
  static constexpr int64_t kSecond = 1'000'000;
  static constexpr int64_t kDay = 86'400 * kSecond;
  static constexpr int64_t kYear1 = -62'135'596'800 * kSecond, kYear10000 = 253'402'300'800 * kSecond;
  static constexpr uint64_t kNan = 0x7ff8000000000000;

  static void set(std::vector<uint8_t>& bits, size_t row) noexcept {
    bits[row / 8] = static_cast<uint8_t>(bits[row / 8] | 1u << row % 8);
  }

  bool take_null(size_t row) {
    if (!field_.nullable) return false;
    nulls_.push_back(static_cast<uint32_t>(row));
    switch (type_) {
      case ColumnType::Bool: truths_.resize(Column::bitmap_size(row + 1)); break;
      case ColumnType::Float64: numbers_.push_back(kNan); break;
      case ColumnType::Int64: numbers_.push_back(0); break;
      // NOLINTNEXTLINE(bugprone-unchecked-optional-access): a column of strings has them
      case ColumnType::String: texts_->append({}); break;
      default: numbers_.push_back(uint64_t{1} << 63);  // NaT
    }
    return true;
  }

  bool take_bool(const Token& token, size_t row) {
    if (token.type != Type::True && token.type != Type::False) return false;
    truths_.resize(Column::bitmap_size(row + 1));
    if (token.type == Type::True) set(truths_, row);
    return true;
  }

  bool take_int(const Token& token) {
    if (token.type != Type::Int && (token.type != Type::Uint || token.u > INT64_MAX)) return false;
    numbers_.push_back(token.type == Type::Int ? static_cast<uint64_t>(token.i) : token.u);
    return true;
  }

  bool take_float(const Token& token) {
    double number;
    switch (token.type) {
      case Type::Float: number = token.f; break;
      case Type::Uint: number = static_cast<double>(token.u); break;
      case Type::Int: number = static_cast<double>(token.i); break;
      default: return false;
    }
    uint64_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    numbers_.push_back(bits);
    return true;
  }

  // A wall clock's microseconds, and, with a zone, how many seconds it is ahead of UTC.
  bool take_time(const Token& token) {
    if (token.type != Type::Ext || token.code != kDatetime || (token.size != 8 && token.size != 12)) return false;
    auto time = static_cast<int64_t>(ttp::detail::load_le<uint64_t>(token.data));
    if (time < kYear1 + kDay || time >= kYear10000 - kDay) return false;
    if (token.size == 12) {
      const int64_t ahead = static_cast<int32_t>(ttp::detail::load_le<uint32_t>(token.data + 8)) * kSecond;
      if (ahead <= -kDay || ahead >= kDay) return false;
      time -= ahead;
      type_ = ColumnType::TimestampUtc;
    }
    numbers_.push_back(static_cast<uint64_t>(time));
    return true;
  }

  bool take_text(const Token& token) {
    const std::string_view text = token.type == Type::Str ? Bytes{token.data, token.size}.text() : std::string_view();
    if (token.type != Type::Str || !is_utf8(text)) return false;
    texts_->append(text);  // NOLINT(bugprone-unchecked-optional-access): as above
    return true;
  }

  // As it is, whatever it is.
  bool take_value(msgpack::Reader& in, const uint8_t* begin, const uint8_t* end) {
    Token token;
    for (uint64_t left = 1; left != 0; --left) {
      if (!in.next(token)) return false;
      if (token.type == Type::Array) left += token.size;
      if (token.type == Type::Map) left += uint64_t{token.size} * 2;
    }
    values_.insert(values_.end(), begin, end - in.remaining());
    ends_.push_back(static_cast<uint32_t>(values_.size()));
    return true;
  }

  RowField field_;
  ColumnType type_;
  std::vector<uint32_t> nulls_;
  std::vector<uint8_t> truths_;
  std::vector<uint64_t> numbers_;
  std::optional<TextColumn> texts_;
  std::vector<uint32_t> ends_{0};
  std::vector<uint8_t> values_;
};

class RowColumns {
 public:
  // At most kMaxColumns fields.
  explicit RowColumns(const std::vector<RowField>& fields) : columns_(fields.begin(), fields.end()) {}

  size_t rows() const noexcept { return rows_; }
  const std::vector<RowColumn>& columns() const noexcept { return columns_; }

  // False if the row is not plain; then the columns are of no further use.
  bool append(Bytes row) {
    const uint8_t* end = row.data + row.size;
    msgpack::Reader in(row.data, row.size);
    msgpack::Token token;
    if (!in.next(token) || token.type != msgpack::Type::Array || token.size > columns_.size()) return false;
    uint64_t seen = 0;
    for (size_t i = 0; i < token.size; ++i)
      if (!take(i, in, end, seen)) return false;
    if (!in.done() && !take_keywords(in, end, seen)) return false;
    for (size_t i = 0; i < columns_.size(); ++i) {
      if ((seen >> i & 1) != 0) continue;
      const Bytes fallback = columns_[i].field().fallback;
      msgpack::Reader instead(fallback.data, fallback.size);
      if (fallback.size == 0 || !take(i, instead, fallback.data + fallback.size, seen)) return false;
    }
    ++rows_;
    return true;
  }

 private:
  bool take(size_t i, msgpack::Reader& in, const uint8_t* end, uint64_t& seen) {
    seen |= uint64_t{1} << i;
    return columns_[i].take(in, end, rows_);
  }

  bool take_keywords(msgpack::Reader& in, const uint8_t* end, uint64_t& seen) {
    msgpack::Token token;
    if (!in.next(token) || token.type != msgpack::Type::Map) return false;
    for (size_t left = token.size; left != 0; --left) {
      if (!in.next(token) || token.type != msgpack::Type::Str) return false;
      const std::string_view name = Bytes{token.data, token.size}.text();
      size_t i = 0;
      while (i < columns_.size() && columns_[i].field().name != name) ++i;
      if (i == columns_.size() || (seen >> i & 1) != 0 || !take(i, in, end, seen)) return false;
    }
    return in.done();
  }

  std::vector<RowColumn> columns_;
  size_t rows_ = 0;
};

}  // namespace ttp
