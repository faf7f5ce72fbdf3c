// statics.cpp -- built twice as strangers build: default visibility, no export list, same names, different behaviour.
#include <hone/reward.hpp>

inline int &counter() {  // an inline function's static: g++ makes it a unique symbol of the whole process
  static int count = ANSWER;
  return count;
}

class Answer : public hone::Reward {
 public:
  float score(const hone::Response &) const override {
    volatile int used = counter();
    (void)used;
    return static_cast<float>(ANSWER);
  }
};

HONE_PLUGIN("org.example.statics", "1.0.0", hone::component<Answer>(NAME));
