// Lines of JSON and of Influx line protocol. The first byte picks the reader; what is taken must make columns that a
// frame can hold, and lines that are left are passed over, as a caller would.
#include "target.hpp"

#include "ttp/event_columns.hpp"
#include "ttp/json_event.hpp"
#include "ttp/line_event.hpp"

namespace {

using ttp::Bytes;

template <typename T>
Bytes bytes_of(const std::vector<T>& items) {
  return {reinterpret_cast<const uint8_t*>(items.data()), items.size() * sizeof(T)};
}

void check_text(const ttp::TextColumn& texts, size_t rows) {
  ttp::Column column;
  column.name = "text";
  column.type = ttp::ColumnType::String;
  column.data = bytes_of(texts.codes());
  column.offsets = bytes_of(texts.ends());
  column.values = bytes_of(texts.values());
  CHECK(column.check(rows) == nullptr);
}

// Fields are a map of text to numbers, truth values, text and nil, and of each name once.
void check_fields(Bytes map) {
  ttp::msgpack::Reader in(map.data, map.size);
  ttp::msgpack::Token token{};
  CHECK(in.next(token) && token.type == ttp::msgpack::Type::Map && token.size > 0);
  std::vector<std::string_view> names;
  for (size_t left = token.size; left != 0; --left) {
    CHECK(in.next(token) && token.type == ttp::msgpack::Type::Str);
    const std::string_view name = Bytes{token.data, token.size}.text();
    CHECK(ttp::is_utf8(name));
    for (const std::string_view other : names) CHECK(other != name);
    names.push_back(name);
    CHECK(in.next(token) && token.type != ttp::msgpack::Type::Map && token.type != ttp::msgpack::Type::Array);
    if (token.type == ttp::msgpack::Type::Str) CHECK(ttp::is_utf8(Bytes{token.data, token.size}.text()));
    if (token.type == ttp::msgpack::Type::Float) CHECK(std::isfinite(token.f));
  }
  CHECK(in.done());
}

template <typename Reader>
void run(Reader&& reader, std::string_view data) {
  ttp::EventColumns columns(4096);
  ttp::EventDefaults defaults{"device", 1, 0, "2026-01-01"};
  for (size_t at = 0; at < data.size();) {
    const size_t before = columns.rows();
    const size_t end = columns.read(reader, data, at, defaults);
    CHECK(end >= at && end <= data.size() && columns.rows() >= before);
    for (const bool high : {false, true}) {
      const ttp::EventTable& table = columns.table(high);
      check_text(table.device, table.rows());
      check_text(table.timestamp, table.rows());
      CHECK(table.sequence.size() == table.rows() && table.field_ends.size() == table.rows() + 1);
      for (size_t row = 0; row < table.rows(); ++row)
        check_fields({table.fields.data() + table.field_ends[row], table.field_ends[row + 1] - table.field_ends[row]});
    }
    at = end;
    if (columns.full())
      columns.clear();
    else if (at < data.size())
      at = std::min(data.find('\n', at), data.size() - 1) + 1;
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  ExactCopy copy(data + 1, size - 1);
  const std::string_view text(reinterpret_cast<const char*>(copy.data()), size - 1);
  if (data[0] % 2 == 0)
    run(ttp::JsonEventReader(), text);
  else
    run(ttp::LineEventReader(data[0] % 4 == 1 ? 1'000'000'000 : 1), text);
  return 0;
}
