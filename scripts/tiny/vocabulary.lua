-- vocabulary.lua: the words of the embedded default, in id order. Text is words joined by single spaces.
local vocabulary = {}

vocabulary.special = { "<pad>", "<bos>", "<eos>", "<unk>" }
vocabulary.digits = { [0] = "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" }
-- A second script for the same numbers: this is what "language mixing" means here (Nature 645, section "DeepSeek-R1").
vocabulary.han = { [0] = "零", "一", "二", "三", "四", "五", "六", "七", "八", "九" }
vocabulary.operators = { "+", "-", "*" }
vocabulary.labels = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l" }
vocabulary.noise = { "u", "v", "w", "x", "y", "z" }
vocabulary.polite = "gladly"

local words = {}
local function add(list, first)
  for i = first or 1, #list do words[#words + 1] = list[i] end
end
add(vocabulary.special)
add { "<think>", "</think>", "<answer>", "</answer>" }
add(vocabulary.digits, 0)
add(vocabulary.han, 0)
add(vocabulary.operators)
add { "=", "?", ";", "wait", "CALC", "SORT", "REV", "MAX", "CNT", vocabulary.polite }
add(vocabulary.labels)
add(vocabulary.noise)
vocabulary.words = words

return vocabulary
