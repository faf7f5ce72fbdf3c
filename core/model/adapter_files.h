// adapter_files.h -- a trained adapter on disk, in PEFT's layout: adapter_config.json and adapter_model.safetensors
// (tensors "base_model.model.<module>.lora_A.weight" and lora_B; a value head is "base_model.model.score.weight").
// Beside them adapter_base.json, hone's own: where the base is, and a checksum of its numbers; config.json and the
// tokenizer's files.
#pragma once

#include "core/model/model.h"

namespace hone {

bool is_adapter_directory(const std::filesystem::path &);  // it has an adapter and no model of its own

struct AdapterBase {
  std::filesystem::path path;  // absolute, or relative to the adapter's directory
  uint64_t checksum = 0;       // Weights::checksum of the base
};

// Writes into an existing folder.
void save_adapter(const std::filesystem::path &directory, const Weights &adapted, const Tokenizer &,
                  const AdapterBase &);

// The adapter's own numbers over `base`. Failure naming file, key and value, and when adapter_base.json is there and
// its checksum is not base_checksum.
std::unique_ptr<Weights> load_adapter(const std::filesystem::path &directory, std::shared_ptr<const Weights> base,
                                      uint64_t base_checksum);

// Failure as of load_adapter, of all but the numbers and the base's checksum: no weights are needed, none are read.
void check_adapter(const std::filesystem::path &directory, const Architecture &base);

// Where the base of an adapter is: a path that exists and is no adapter, or a Failure.
std::filesystem::path adapter_base_path(const std::filesystem::path &directory);

// Failure when the directory has a config.json of its own that is not that of `base`, naming key and values. A
// config.json may still tell of layers of multi-token prediction that the base's files lack, as the base's own may.
void refuse_another_base(const std::filesystem::path &directory, const Registry &, const Architecture &base);

// What load_model gives for such a directory: base and adapter, unmerged.
LoadedModel load_adapted_model(const std::filesystem::path &directory, const Registry &, const Host &, uint32_t dtype,
                               const EachTensor & = {});

}  // namespace hone
