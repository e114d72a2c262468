#include "check.hpp"

#include "ttp/event_columns.hpp"
#include "ttp/json_event.hpp"
#include "ttp/line_event.hpp"

#include <string>
#include <string_view>

namespace {

using ttp::Event;

constexpr std::string_view kHub =
    R"({"device_id":"s-1","type":"co2","value":421.5,"priority":"HIGH","sequence":7,"epoch":3,)"
    R"("timestamp":"2026-01-01T00:00:00Z","metadata":{"location":"zone-\u0031"}})";

void test_json_event() {
  ttp::JsonEventReader reader;
  Event event;
  CHECK(reader.read(kHub, event));
  CHECK(event.device == "s-1" && event.timestamp == "2026-01-01T00:00:00Z" && event.high);
  CHECK(event.has_epoch && event.epoch == 3 && event.has_sequence && event.sequence == 7);
  CHECK(event.fields.text() == std::string("\x83\xa3"
                                           "co2\xcb\x40\x7a\x58\0\0\0\0\0\xa8"
                                           "priority\xa4"
                                           "HIGH\xb1"
                                           "metadata.location\xa6"
                                           "zone-1",
                                           53));
}

// Cut anywhere, a line is left: no prefix of an object is one.
void test_a_line_that_is_cut_off_is_left() {
  ttp::JsonEventReader reader;
  Event event;
  for (size_t size = 0; size < kHub.size(); ++size) CHECK(!reader.read(kHub.substr(0, size), event));
  CHECK(reader.read(kHub, event));
}

void test_line_event() {
  ttp::LineEventReader reader(1);
  Event event;
  CHECK(reader.read("m,host=a\\ b,tag=x v=1i 1767225600", event));
  CHECK(event.device == "a b" && event.timestamp == "2026-01-01T00:00:00+00:00" && !event.has_sequence);
  CHECK(event.fields.text() == "\x82\xa3m.v\x01\xa7tag.tag\xa1x");
  CHECK(reader.read("m v=1 951782399", event) && event.timestamp == "2000-02-28T23:59:59+00:00");
  CHECK(reader.read("m v=1 951782400", event) && event.timestamp == "2000-02-29T00:00:00+00:00");
  CHECK(reader.read("m v=1 -62135596800", event) && event.timestamp == "0001-01-01T00:00:00+00:00");
  CHECK(reader.read("m v=1 253402300799", event) && event.timestamp == "9999-12-31T23:59:59+00:00");
  CHECK(!reader.read("m v=1 253402300800", event));
}

void test_many_texts_keep_their_numbers() {
  ttp::TextColumn column;
  for (int round = 0; round < 2; ++round)
    for (uint32_t i = 0; i < 5000; ++i) {
      column.append("device-" + std::to_string(i));
      CHECK(column.codes().back() == i);
    }
  CHECK(column.texts() == 5000 && column.codes().size() == 10000);
  column.clear();
  column.append("x");
  CHECK(column.texts() == 1 && column.codes()[0] == 0 && column.ends()[1] == 1);
}

void test_columns_fill_from_lines() {
  const std::string data = "{\"v\":1}\n\n{\"v\":2,\"seq\":9}\nnope\n";
  ttp::JsonEventReader reader;
  ttp::EventColumns columns(1 << 18);
  ttp::EventDefaults defaults{"peer", 5, 0, "2026-01-01"};
  CHECK(columns.read(reader, data, 0, defaults) == data.find("nope"));
  const ttp::EventTable& table = columns.table(false);
  CHECK(table.rows() == 2 && defaults.sequence == 1);
  CHECK(table.epoch[0] == 5 && table.epoch[1] == 0 && table.sequence[0] == 0 && table.sequence[1] == 9);
}

}  // namespace

int main() {
  RUN(test_json_event);
  RUN(test_a_line_that_is_cut_off_is_left);
  RUN(test_line_event);
  RUN(test_many_texts_keep_their_numbers);
  RUN(test_columns_fill_from_lines);
  return 0;
}
