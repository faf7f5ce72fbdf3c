// check_model.cpp -- a model's declarations: the same each time, with names and sizes that fit together.
#include <set>

#include "core/plugin/check_parts.h"
#include "hone/draft/model.h"

namespace hone {

void check_model(const Instance &instance, Findings &found) {
  const auto methods = known_methods<hone_model>(instance.component());
  found.doing("asking for its sizes");
  hone_model_info info{};
  info.struct_size = sizeof info;
  hone_error error{};
  if (const int32_t code = methods.info(instance.self(), &info, &error); code != HONE_OK)
    return found.problem("info() fails for its default settings: " + std::string(error.text, strnlen(error.text, sizeof error.text)));
  struct Declared {
    std::string name;
    uint32_t n_dims, dims[3], flags;
    bool operator==(const Declared &) const = default;
  };
  std::vector<Declared> lists[2];
  for (auto &list : lists) {
    found.doing("asking for its parameters");
    const int32_t code = methods.parameters(
        instance.self(),
        [](void *arg, const hone_parameter *p) {
          Declared d{std::string(p->name.data, p->name.size), p->n_dims, {p->dims[0], p->dims[1], p->dims[2]}, p->flags};
          static_cast<std::vector<Declared> *>(arg)->push_back(std::move(d));
        },
        &list, &error);
    if (code != HONE_OK) return found.problem("parameters() fails: " + std::string(error.text, strnlen(error.text, sizeof error.text)));
  }
  if (lists[0] != lists[1]) found.problem("parameters() declares other parameters the second time");
  std::set<std::string> names;
  for (const Declared &d : lists[0]) {
    if (!names.insert(d.name).second) found.problem("declares two parameters named " + d.name);
    if (d.n_dims < 1 || d.n_dims > 3) return found.problem("parameter " + d.name + " has " + std::to_string(d.n_dims) + " dimensions; 1 to 3 are possible");
    for (uint32_t i = 0; i < d.n_dims; ++i)
      if (d.dims[i] == 0) found.problem("parameter " + d.name + " has a dimension of 0");
    if ((d.flags & HONE_PARAMETER_EXPERTS) && d.name.find("{}") == d.name.npos)
      found.problem("parameter " + d.name + " is one per expert, but its name has no {} for the expert's number");
  }
  if (info.head >= lists[0].size()) return found.problem("says that parameter " + std::to_string(info.head) + " is its head, and has " + std::to_string(lists[0].size()));
  const Declared &head = lists[0][info.head];
  if (head.n_dims != 2 || head.dims[0] != info.vocab_size || head.dims[1] != info.hidden_size)
    found.problem("its head " + head.name + " is not [vocab_size, hidden_size]");
  found.note("forward() needs a tape; the tests of the model's numbers belong beside the model");
}

}  // namespace hone
