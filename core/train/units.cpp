// units.cpp -- see units.h.
#include "core/train/units.h"

#include <algorithm>

namespace hone {
namespace {

constexpr uint32_t least_unit = 256;  // tokens: below it a unit of its own costs more than it spreads the work

struct Group {
  uint32_t begin, end;  // rows of the columns
  uint32_t shared = 0;  // first tokens of all of them that are run once
  uint64_t tokens = 0;  // that are run
};

// How many first tokens are equal in all of a group's rows. Those that predict a trained token are each row's own.
uint32_t shared_tokens(const ObjectiveColumns &columns, const std::vector<TrainRow> &rows, const Group &group) {
  const std::vector<int32_t> &first = rows[columns.row[group.begin]].ids;
  size_t shared = first.size();
  for (uint32_t r = group.begin; r < group.end; ++r) {
    const TrainRow &row = rows[columns.row[r]];
    const auto differs = std::mismatch(first.begin(), first.end(), row.ids.begin(), row.ids.end()).first;
    shared = std::min<size_t>({shared, static_cast<size_t>(differs - first.begin()), row.begin + columns.token[columns.row_start[r]] - 1});
  }
  return static_cast<uint32_t>(shared);
}

}  // namespace

std::vector<Unit> cut_units(const ObjectiveColumns &columns, const std::vector<TrainRow> &rows,
                            const TrainerSettings &settings, bool value_after, bool share) {
  uint64_t total = 0;
  std::vector<Group> groups;
  for (uint32_t r = 0, end; r < columns.rows(); r = end) {
    for (end = r + 1; end < columns.rows() && columns.group[end] == columns.group[r];) ++end;
    Group &group = groups.emplace_back(Group{r, end});
    if (share && end - r > 1) group.shared = shared_tokens(columns, rows, group);
    group.tokens = group.shared;
    for (uint32_t i = r; i < end; ++i)
      group.tokens += rows[columns.row[i]].begin + columns.token[columns.row_start[i + 1] - 1] + (value_after ? 1 : 0) - group.shared;
    total += group.tokens;
  }
  const uint64_t even = (total + settings.slots - 1) / settings.slots;
  const uint64_t most = std::min<uint64_t>(settings.unit_tokens, std::max<uint64_t>(even, least_unit));
  std::vector<Unit> units;
  std::vector<uint32_t> places;
  uint64_t in_unit = 0;
  for (const Group &group : groups) {
    if (units.empty() || in_unit + group.tokens > most) units.push_back({group.begin, group.begin, {}}), in_unit = 0;
    Unit &unit = units.back();
    unit.end = group.end;
    in_unit += group.tokens;
    if (group.shared) unit.packed.add_prefix(std::span(rows[columns.row[group.begin]].ids).first(group.shared));
    for (uint32_t r = group.begin; r < group.end; ++r) {
      const TrainRow &row = rows[columns.row[r]];
      places.clear();
      for (uint32_t t = columns.row_start[r]; t < columns.row_start[r + 1]; ++t)
        places.push_back(row.begin + columns.token[t]);
      unit.packed.add(row.ids, places, value_after, group.shared);
    }
  }
  return units;
}

}  // namespace hone
