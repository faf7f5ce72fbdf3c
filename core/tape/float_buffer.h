// buffer.h -- floats on the kernels' device, freed with their owner.
#pragma once

#include <cstdint>
#include <utility>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "kernels/table.h"

namespace hone {

class FloatBuffer {
 public:
  explicit FloatBuffer(const hone_kernels &kernels, uint64_t n = 0) : kernels_(&kernels) { at_least(n); }
  FloatBuffer(FloatBuffer &&other) noexcept
      : kernels_(other.kernels_), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  FloatBuffer &operator=(FloatBuffer &&) = delete;
  ~FloatBuffer() { kernels_->release(data_); }

  float *data() const { return data_; }
  uint64_t size() const { return size_; }
  // Room for n floats. Growing loses what was there; fresh memory is zero.
  float *at_least(uint64_t n) {
    if (n <= size_) return data_;
    kernels_->release(std::exchange(data_, nullptr));
    size_ = 0;
    data_ = static_cast<float *>(kernels_->allocate(n * sizeof(float)));
    if (!data_) throw Failure("no memory for a buffer of " + human_bytes(n * sizeof(float)));
    size_ = n;
    return data_;
  }

 private:
  const hone_kernels *kernels_;
  float *data_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace hone
