// Rows into columns of every type: what is taken must make columns that a frame can hold.
#include "target.hpp"

#include "ttp/row_columns.hpp"

namespace {

using ttp::Bytes;
using ttp::Column;
using ttp::ColumnType;

template <typename T>
Bytes bytes_of(const std::vector<T>& items) {
  return {reinterpret_cast<const uint8_t*>(items.data()), items.size() * sizeof(T)};
}

void check(const ttp::RowColumn& made, size_t rows) {
  const std::vector<uint8_t> validity = made.validity(rows);
  Column column;
  column.name = made.field().name;
  column.type = made.type();
  column.validity = bytes_of(validity);
  column.data = bytes_of(made.type() == ColumnType::Bool ? made.truths() : std::vector<uint8_t>());
  if (made.type() == ColumnType::String) {
    column.data = bytes_of(made.texts().codes());
    column.offsets = bytes_of(made.texts().ends());
    column.values = bytes_of(made.texts().values());
  } else if (made.type() == ColumnType::Value) {
    column.offsets = bytes_of(made.ends());
    column.values = bytes_of(made.values());
  } else if (made.type() != ColumnType::Bool) {
    column.data = bytes_of(made.numbers());
  }
  CHECK(column.check(rows) == nullptr);
}

}  // namespace

// The first byte says how long a row is.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static const uint8_t kNil[] = {0xc0};
  std::vector<ttp::RowField> fields;
  const char* const names[] = {"a", "b", "c", "d", "e", "f"};
  const ColumnType types[] = {ColumnType::Bool,      ColumnType::Int64,  ColumnType::Float64,
                              ColumnType::Timestamp, ColumnType::String, ColumnType::Value};
  fields.reserve(6);
  for (size_t i = 0; i < 6; ++i) fields.push_back({names[i], types[i], data[0] % 2 == 0, {kNil, 1}});
  ttp::RowColumns columns(fields);
  const size_t length = data[0] / 2 + 1u;
  for (size_t at = 1; at < size; at += length) {
    ExactCopy row(data + at, std::min(length, size - at));
    if (!columns.append({row.data(), row.size()})) return 0;
  }
  for (const ttp::RowColumn& column : columns.columns()) check(column, columns.rows());
  return 0;
}
