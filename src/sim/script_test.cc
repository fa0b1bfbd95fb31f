#include "sim/script.h"

#include <gmock/gmock.h>

namespace fallow::sim {
namespace {

using recording::Kind;
using recording::MarkKind;
using recording::Outcome;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

recording::Recording whole() {
  recording::Recording recording;
  recording.node = {.frames = 10, .interval_ns = 1'000'000'000};
  recording.whole = true;
  return recording;
}

std::vector<EventKind> kinds_of(const ScriptClient& client) {
  std::vector<EventKind> kinds;
  for (const Event& event : client.events) {
    kinds.push_back(event.kind);
  }
  return kinds;
}

TEST(Script, partsClientsAndNumbersTheirPages) {
  recording::Recording recording = whole();
  recording.operations = {
      {.at_ns = 1, .object = 5, .index = 100, .pool = 7, .client = 1},
      {.at_ns = 2, .index = 8, .client = 2, .outcome = Outcome::kWithoutFrame},
      {.at_ns = 3, .object = 5, .index = 100, .pool = 7, .client = 1, .kind = Kind::kGet},
      {.at_ns = 4, .object = 6, .index = 100, .pool = 7, .client = 1},
      {.at_ns = 5, .object = 5, .pool = 7, .client = 1, .kind = Kind::kFlushObject},
      {.at_ns = 6, .pool = 7, .client = 1, .kind = Kind::kFlushPool},
      {.at_ns = 7, .client = 1, .kind = Kind::kClientGone}};
  recording.notes = {{.at_ns = 0, .client = 1, .name = "a"}};
  const auto script = make_script(recording);
  ASSERT_TRUE(script.ok()) << script.error().text;
  ASSERT_EQ(script->clients.size(), 2u);
  const ScriptClient& a = script->clients[0];
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.comes_ns, 0u);
  EXPECT_THAT(kinds_of(a),
              ElementsAre(EventKind::kPut, EventKind::kGet, EventKind::kPut, EventKind::kFlushGroup,
                          EventKind::kFlushGroup, EventKind::kGone));
  EXPECT_EQ(a.events[0].what, a.events[1].what);
  EXPECT_NE(a.events[0].what, a.events[2].what);
  EXPECT_THAT(a.places, ElementsAre(100, 100));
  EXPECT_THAT(a.groups, ElementsAre(ElementsAre(0), ElementsAre(1), IsEmpty()));
  EXPECT_EQ(script->clients[1].name, "client-2");
  EXPECT_EQ(script->clients[1].events[0].kind, EventKind::kPutWithoutFrame);
  EXPECT_THAT(script->doubts, IsEmpty());
}

// However often what was put is flushed again.
TEST(Script, groupsTakeNoMoreThanWhatWasUsed) {
  constexpr std::uint32_t kPages = 2000;
  recording::Recording recording = whole();
  for (std::uint32_t i = 0; i < kPages; ++i) {
    recording.operations.push_back({.object = i % 50, .index = i, .pool = i % 2, .client = 1});
  }
  for (const Kind kind : {Kind::kFlushObject, Kind::kFlushPool, Kind::kClientGone}) {
    recording.operations.insert(recording.operations.end(), kPages,
                                {.object = 4, .client = 1, .kind = kind});
    recording.operations.push_back(recording.operations[4]);  // used again
  }
  const auto script = make_script(recording);
  ASSERT_TRUE(script.ok()) << script.error().text;
  const auto& groups = script->clients[0].groups;
  ASSERT_EQ(groups.size(), 3 * kPages);
  EXPECT_EQ(groups[0].size(), kPages / 50);
  EXPECT_EQ(groups[kPages].size(), kPages / 2 - kPages / 50 + 1);
  EXPECT_EQ(groups[2 * kPages].size(), kPages / 2 + 1);
  std::size_t all = 0;
  for (const auto& group : groups) {
    all += group.size();
  }
  EXPECT_EQ(all, kPages + 2);
}

TEST(Script, saysWhatARecordingLacks) {
  recording::Recording recording = whole();
  recording.whole = false;
  recording.missing = 4;
  recording.operations = {{.client = 1, .outcome = Outcome::kNot}};
  const auto script = make_script(recording);
  ASSERT_TRUE(script.ok());
  EXPECT_THAT(script->doubts,
              ElementsAre(HasSubstr("4 operations are missing"), HasSubstr("cut off"),
                          HasSubstr("1 puts of processes were refused")));
}

TEST(Script, keepsWhatWasKnownOnceAndDropsWhatCannotBe) {
  recording::Recording recording = whole();
  const std::vector<recording::CurvePoint> curve = {{0, 1'000'000}, {10, 5}};
  recording.notes = {{.at_ns = 1, .client = 1, .name = "a", .ram_limit_pages = 9, .curve = curve},
                     {.at_ns = 2, .client = 1, .name = "a", .ram_limit_pages = 9, .curve = curve},
                     {.at_ns = 3,
                      .client = 1,
                      .name = "a",
                      .quota_min = 9,
                      .quota_max = 1,
                      .curve = {{5, 1}, {5, 1}}}};
  const auto script = make_script(recording);
  ASSERT_TRUE(script.ok());
  EXPECT_EQ(script->curves.size(), 1u);
  ASSERT_EQ(script->clients[0].known.size(), 2u);
  EXPECT_EQ(script->clients[0].known[1].curve, Knowledge::kNoCurve);
  EXPECT_EQ(script->clients[0].known[1].quota, policy::Quota{});
  EXPECT_EQ(script->clients[0].ram_pages, 9u);
}

TEST(Script, keepsNamesThatADaemonGives) {
  recording::Recording recording = whole();
  recording.notes = {{.client = 1, .name = "vm-1.a_B"},
                     {.client = 2, .name = "\x1b[2J"},
                     {.client = 3, .name = std::string(300, 'a')},
                     {.client = 4, .name = "b"},
                     {.at_ns = 1, .client = 4, .name = "b\nb"}};
  const auto script = make_script(recording);
  ASSERT_TRUE(script.ok()) << script.error().text;
  std::vector<std::string> names;
  for (const ScriptClient& client : script->clients) {
    names.push_back(client.name);
  }
  EXPECT_THAT(names, ElementsAre("vm-1.a_B", "client-2", "client-3", "b"));
  recording.marks = {{.id = 1, .client = "\x1b[2J"}};
  EXPECT_THAT(make_script(recording).error().text, HasSubstr("whose name cannot be"));
}

TEST(Script, placesMarksAmongTheOperations) {
  recording::Recording recording = whole();
  recording.operations = {{.at_ns = 10, .client = 1}, {.at_ns = 20, .client = 1}};
  recording.notes = {{.client = 1, .name = "a"}};
  recording.marks = {{.at_ns = 5, .id = 1, .kind = MarkKind::kBegin, .client = "a"},
                     {.at_ns = 15, .id = 2, .kind = MarkKind::kPoint, .client = "a"},
                     {.at_ns = 16, .id = 3, .kind = MarkKind::kStop, .client = "a", .after = {2}}};
  const auto script = make_script(recording);
  ASSERT_TRUE(script.ok()) << script.error().text;
  // What came after it was stopped does not count.
  EXPECT_THAT(kinds_of(script->clients[0]),
              ElementsAre(EventKind::kMark, EventKind::kPut, EventKind::kMark));
  EXPECT_EQ(script->clients[0].stop, 2u);
  EXPECT_THAT(script->marks[2].after, ElementsAre(1));
}

TEST(Script, refusesWhatCannotBe) {
  EXPECT_THAT(make_script(whole()).error().text, HasSubstr("holds no client"));
  recording::Recording late = whole();
  late.operations = {{.at_ns = UINT64_MAX, .client = 1}};
  EXPECT_THAT(make_script(late).error().text, HasSubstr("longer than a week"));
  recording::Recording many = whole();
  for (std::uint32_t client = 0; client < 1024; ++client) {
    many.operations.push_back({.client = client});
  }
  EXPECT_TRUE(make_script(many).ok());
  recording::Recording noted = many;
  noted.notes = {{.client = 1024, .name = "a"}};
  EXPECT_THAT(make_script(noted).error().text, HasSubstr("more than 1024 clients"));
  many.marks = {{.id = 1, .client = "a"}};
  EXPECT_THAT(make_script(many).error().text, HasSubstr("more than 1024 clients"));
  many.operations.push_back({.client = 1024});
  EXPECT_THAT(make_script(many).error().text, HasSubstr("more than 1024 clients"));
  recording::Recording before = whole();
  before.marks = {{.id = 1, .client = "a", .after = {2}}, {.id = 2, .client = "a"}};
  EXPECT_THAT(make_script(before).error().text, HasSubstr("comes later"));
  recording::Recording twice = whole();
  twice.marks = {{.id = 1, .client = "a"}, {.id = 1, .client = "a"}};
  EXPECT_THAT(make_script(twice).error().text, HasSubstr("same number"));
  recording::Recording stop = whole();
  stop.marks = {{.id = 1, .kind = MarkKind::kStop, .client = "a"}};
  EXPECT_THAT(make_script(stop).error().text, HasSubstr("waits for no mark"));
}

}  // namespace
}  // namespace fallow::sim
