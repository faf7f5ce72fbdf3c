// safetensors_test.cpp -- round trips, and headers written to do harm.
#include "core/model/safetensors.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "tests/support/refusal.h"

namespace hone {
namespace {

std::filesystem::path scratch() {
  return std::filesystem::temp_directory_path() / ("hone-safetensors-" + std::to_string(getpid()));
}

std::string file_of(const std::string &header, size_t data, uint64_t claimed = UINT64_MAX) {
  const uint64_t size = claimed == UINT64_MAX ? header.size() : claimed;
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &size, 8);
  return bytes + header + std::string(data, 'x');
}

std::string refusal(const std::string &bytes) {
  std::ofstream(scratch(), std::ios::binary) << bytes;
  const std::string said = refusal_of([] { Safetensors file(scratch()); });
  std::filesystem::remove(scratch());
  return said;
}

std::string entry(const std::string &dtype, const std::string &shape, const std::string &offsets) {
  return "{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

TEST(Safetensors, ReadsBackWhatItWrote) {
  const std::vector<float> a = {1, -2.5f, 3e-40f, 4, 5, INFINITY};
  const std::vector<uint64_t> b = {1, UINT64_MAX};
  write_safetensors(scratch(),
                    {{"z.weight", "F32", {2, 3}, a.data(), 24},
                     {"a \"quoted\"", "U64", {2}, b.data(), 16},
                     {"empty", "F32", {0, 4}, nullptr, 0}},
                    {{"format", "pt"}});
  {
    const Safetensors file(scratch());
    EXPECT_EQ(file.metadata().at("format"), "pt");
    EXPECT_EQ(file.tensors().size(), 3u);
    std::vector<float> back(6);
    file.read_floats("z.weight", back.data(), 6);
    EXPECT_EQ(std::memcmp(back.data(), a.data(), 24), 0);
    EXPECT_EQ(std::memcmp(file.require("a \"quoted\"").data, b.data(), 16), 0);
    EXPECT_THROW(file.read_floats("z.weight", back.data(), 5), Failure);
    EXPECT_THROW(file.read_floats("a \"quoted\"", back.data(), 2), Failure);
    try {
      file.require("z.wieght");
      FAIL();
    } catch (const Failure &failure) {
      EXPECT_NE(std::string(failure.what()).find("the nearest is \"z.weight\""), std::string::npos);
    }
  }
  EXPECT_FALSE(std::filesystem::exists(scratch().string() + ".partial-" + std::to_string(getpid())));
  std::filesystem::remove(scratch());
}

TEST(Safetensors, ReadsHalfPrecisionExactly) {
  const std::vector<uint16_t> half = {0x3C00, 0xC000, 0x0001, 0x8001, 0x7BFF, 0x7C00, 0x0000, 0x8000},
                              brain = {0x3F80, 0xC040, 0x0001, 0x7F80};
  write_safetensors(scratch(), {{"half", "F16", {8}, half.data(), 16}, {"brain", "BF16", {4}, brain.data(), 8}});
  const Safetensors file(scratch());
  float values[8];
  file.read_floats("half", values, 8);
  const float wanted[8] = {1, -2, 0x1p-24f, -0x1p-24f, 65504, INFINITY, 0.0f, -0.0f};
  EXPECT_EQ(std::memcmp(values, wanted, sizeof wanted), 0);
  file.read_floats("brain", values, 4);
  EXPECT_EQ(values[0], 1);
  EXPECT_EQ(values[1], -3);
  EXPECT_EQ(values[2], 0x1p-133f);
  EXPECT_EQ(values[3], INFINITY);
  std::filesystem::remove(scratch());
}

TEST(Safetensors, RoundsDoublesToFloats) {
  const std::vector<double> doubles = {0.1, -1e300, 3};
  write_safetensors(scratch(), {{"double", "F64", {3}, doubles.data(), 24}});
  const Safetensors file(scratch());
  float values[3];
  file.read_floats("double", values, 3);
  EXPECT_EQ(values[0], 0.1f);
  EXPECT_EQ(values[1], -INFINITY);  // which a model may not hold
  EXPECT_EQ(values[2], 3);
  file.read_floats("double", 2, 1, values);
  EXPECT_EQ(values[0], 3);
  std::filesystem::remove(scratch());
}

TEST(Safetensors, RefusesHostileHeaders) {
  EXPECT_NE(refusal("").find("0 bytes"), std::string::npos);
  EXPECT_NE(refusal("1234567").find("7 bytes"), std::string::npos);
  EXPECT_NE(refusal(file_of("{}", 0, 1u << 30)).find("claims 1073741824 bytes"), std::string::npos);
  EXPECT_NE(refusal(file_of("{}", 0, UINT64_MAX - 1)).find("claims"), std::string::npos);
  EXPECT_NE(refusal(file_of("[]", 0)).find("not a JSON object"), std::string::npos);
  EXPECT_NE(refusal(file_of("{\"a\":", 0)).find("not a JSON object"), std::string::npos);
  EXPECT_NE(refusal(file_of("{\"\xFF\": 1}", 0)).find("invalid UTF-8"), std::string::npos);
  EXPECT_NE(refusal(file_of(std::string(300000, '['), 0)).find("not a JSON object"), std::string::npos);
  EXPECT_NE(
      refusal(file_of("{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}", 0)).find("needs a dtype"),
      std::string::npos);
  EXPECT_NE(refusal(file_of("{\"a\":1}", 0)).find("needs a dtype"), std::string::npos);
  const auto one = [](const std::string &dtype, const std::string &shape, const std::string &offsets, size_t data) {
    return refusal(file_of("{\"a\":" + entry(dtype, shape, offsets) + "}", data));
  };
  EXPECT_EQ(one("F32", "[2]", "[0,8]", 8), "");
  EXPECT_NE(one("F31", "[2]", "[0,8]", 8).find("unknown dtype \"F31\""), std::string::npos);
  EXPECT_NE(one("F32", "[2]", "[0,8]", 4).find("claims bytes 0 .. 8 of 4"), std::string::npos);
  EXPECT_NE(one("F32", "[2]", "[8,0]", 8).find("claims bytes"), std::string::npos);
  EXPECT_NE(one("F32", "[3]", "[0,8]", 8).find("does not take the 8 bytes"), std::string::npos);
  EXPECT_NE(one("F32", "[-2]", "[0,8]", 8).find("whole number"), std::string::npos);
  EXPECT_NE(one("F32", "[2.0]", "[0,8]", 8).find("whole number"), std::string::npos);
  EXPECT_NE(one("F32", "[2]", "[0,1e3]", 8).find("whole number"), std::string::npos);
  EXPECT_NE(one("F32", "[2]", "[0]", 8).find("two data_offsets"), std::string::npos);
  EXPECT_NE(one("F32", "[4294967296,4294967296,2]", "[0,8]", 8).find("impossibly large"), std::string::npos);
  EXPECT_NE(one("F32", "[4611686018427387904,2]", "[0,8]", 8).find("does not take"), std::string::npos);
  EXPECT_NE(one("F32", "[2]", "[4,12]", 12).find("begins at byte 4 where 0 was due"), std::string::npos);
  EXPECT_NE(one("F32", "[2]", "[0,8]", 9).find("last 1 bytes belong to no tensor"), std::string::npos);
  const auto two = [](const std::string &first, const std::string &second, const char *names) {
    const bool same = std::string(names) == "same";
    return refusal(file_of(
        "{\"a\":" + entry("F32", "[2]", first) + ",\"" + (same ? "a" : "b") + "\":" + entry("F32", "[2]", second) + "}",
        16));
  };
  EXPECT_EQ(two("[0,8]", "[8,16]", "apart"), "");
  EXPECT_NE(two("[0,8]", "[4,12]", "apart").find("must not overlap"), std::string::npos);
  EXPECT_NE(two("[0,8]", "[0,8]", "apart").find("must not overlap"), std::string::npos);
  EXPECT_NE(two("[0,8]", "[8,16]", "same").find("appears twice"), std::string::npos);
  EXPECT_NE(refusal(file_of("{\"__metadata__\":{\"a\":1}}", 0)).find("must be text"), std::string::npos);
  EXPECT_THROW(Safetensors("/nowhere"), Failure);
  EXPECT_THROW(Safetensors("/tmp"), Failure);
}

// Every cut and many single-byte damages of a good file are either refused or read within its bytes (sanitizers watch).
TEST(Safetensors, NeverReadsBeyondADamagedFile) {
  const std::vector<float> a(12, 1);
  write_safetensors(scratch(), {{"a", "F32", {3, 2}, a.data(), 24}, {"b", "F32", {6}, a.data(), 24}},
                    {{"format", "pt"}});
  const std::string good = read_file(scratch());
  std::mt19937 random(1);
  for (size_t size = 0; size < good.size(); size += 3) EXPECT_NE(refusal(good.substr(0, size)), "") << size;
  for (int trial = 0; trial < 500; ++trial) {
    std::string bad = good;
    bad[random() % (bad.size() - 48)] = static_cast<char>(random());
    std::ofstream(scratch(), std::ios::binary) << bad;
    try {
      const Safetensors file(scratch());
      for (const auto &[name, view] : file.tensors()) {
        volatile uint8_t sum = 0;
        for (uint64_t i = 0; i < view.bytes; ++i) sum = static_cast<uint8_t>(sum + view.data[i]);
      }
    } catch (const Failure &) {
    }
  }
  std::filesystem::remove(scratch());
}

TEST(Safetensors, LeavesTheOldFileWhenItCannotWrite) {
  const float x = 1;
  EXPECT_THROW(write_safetensors("/nowhere/model.safetensors", {{"a", "F32", {1}, &x, 4}}), Failure);
  EXPECT_THROW(write_safetensors(scratch(), {{"a", "F32", {1}, &x, 4}, {"a", "F32", {1}, &x, 4}}), Failure);
  EXPECT_FALSE(std::filesystem::exists(scratch()));
}

}  // namespace
}  // namespace hone
