// scripts_of_writing.h -- whether a text holds words in another script than its language is written in, as Unicode
// tells scripts.
#pragma once

#include <string_view>

// language: "en", "zh", .... Digits, punctuation and symbols belong to every script.
bool has_foreign_word(std::string_view text, std::string_view language);
