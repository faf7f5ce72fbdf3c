// lua_random.cpp -- math.random from Philox: what it gives depends on the seed, the call and the draw, on nothing before.
#include "core/script/lua_host.h"
#include "core/script/sandbox.h"

namespace hone {

// Uniform in [0, range) without bias: Lemire, "Fast random integer generation in an interval" (2019). range 0: all 64 bits.
static uint64_t below(LuaHost &host, uint64_t range) {
  uint64_t bits = host.random_bits();
  if (range == 0) return bits;
  unsigned __int128 product = static_cast<unsigned __int128>(bits) * range;
  if (static_cast<uint64_t>(product) < range) {
    const uint64_t least = (0 - range) % range;
    while (static_cast<uint64_t>(product) < least) product = static_cast<unsigned __int128>(host.random_bits()) * range;
  }
  return static_cast<uint64_t>(product >> 64);
}

static int random(lua_State *L) {
  LuaHost &host = LuaHost::of(L);
  lua_Integer low = 1, high;
  switch (lua_gettop(L)) {
    case 0: lua_pushnumber(L, static_cast<double>(host.random_bits() >> 11) * 0x1p-53); return 1;
    case 1:
      high = luaL_checkinteger(L, 1);
      if (high == 0) {
        lua_pushinteger(L, static_cast<lua_Integer>(host.random_bits()));
        return 1;
      }
      break;
    case 2:
      low = luaL_checkinteger(L, 1);
      high = luaL_checkinteger(L, 2);
      break;
    default: return luaL_error(L, "math.random takes at most two numbers");
  }
  luaL_argcheck(L, low <= high, lua_gettop(L), "interval is empty");
  const uint64_t range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low) + 1;
  lua_pushinteger(L, static_cast<lua_Integer>(static_cast<uint64_t>(low) + below(host, range)));
  return 1;
}

static int random_seed(lua_State *L) {
  return luaL_error(L, "math.randomseed is refused: random numbers follow from the pipeline's seed; give hone.rows another seed");
}

void install_random(lua_State *L) {
  lua_getglobal(L, LUA_MATHLIBNAME);
  lua_pushcfunction(L, random);
  lua_setfield(L, -2, "random");
  lua_pushcfunction(L, random_seed);
  lua_setfield(L, -2, "randomseed");
  lua_pop(L, 1);
}

}  // namespace hone
