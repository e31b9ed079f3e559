#include "core/cpu/amx_tiles.h"

#ifdef __AMX_BF16__
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace deq::cpu {

#ifdef __AMX_BF16__

namespace {

/// Of LDTILECFG.
struct alignas(64) TileConfiguration {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

// The compiler does not know that tile instructions read and write memory.
[[gnu::always_inline]] inline void settle_memory() { asm volatile("" ::: "memory"); }

template <int kCount>
void sum_products(std::int64_t steps, const AmxTiles::Left& left, const Bfloat16* right, const AmxTiles::Sums& sums) {
  const std::int64_t stride = left.row_stride * static_cast<std::int64_t>(sizeof(Bfloat16));
  _tile_zero(0);
  if constexpr (kCount > 1) _tile_zero(1);
  if constexpr (kCount > 2) _tile_zero(2);
  if constexpr (kCount > 3) _tile_zero(3);
  for (std::int64_t step = 0; step < steps; ++step, right += kTileDepth * kTileColumns) {
    const std::int64_t offset = left.offsets[step];
    _tile_loadd(4, right, 64);
    _tile_loadd(5, left.blocks[0] + offset, stride);
    _tile_dpbf16ps(0, 5, 4);
    if constexpr (kCount > 1) {
      _tile_loadd(6, left.blocks[1] + offset, stride);
      _tile_dpbf16ps(1, 6, 4);
    }
    if constexpr (kCount > 2) {
      _tile_loadd(7, left.blocks[2] + offset, stride);
      _tile_dpbf16ps(2, 7, 4);
    }
    if constexpr (kCount > 3) {
      _tile_loadd(5, left.blocks[3] + offset, stride);
      _tile_dpbf16ps(3, 5, 4);
    }
  }
  const std::int64_t to_stride = sums.row_stride * static_cast<std::int64_t>(sizeof(float));
  _tile_stored(0, sums.blocks[0], to_stride);
  if constexpr (kCount > 1) _tile_stored(1, sums.blocks[1], to_stride);
  if constexpr (kCount > 2) _tile_stored(2, sums.blocks[2], to_stride);
  if constexpr (kCount > 3) _tile_stored(3, sums.blocks[3], to_stride);
}

}  // namespace

bool has_amx() {
  static const bool is_there = [] {
    // Linux, Documentation/arch/x86/xstate.rst: a process asks before it uses the tile registers.
    constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return __builtin_cpu_supports("amx-bf16") && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return is_there;
}

AmxTiles::AmxTiles(std::int64_t rows, std::int64_t columns) {
  constexpr int kRight = 4;
  TileConfiguration tiles;
  for (int tile = 0; tile < 8; ++tile) {
    tiles.rows[tile] = static_cast<std::uint8_t>(tile == kRight ? kTileRows : rows);
    tiles.row_bytes[tile] = static_cast<std::uint16_t>(tile <= kRight ? columns * 4 : 64);
  }
  settle_memory();
  _tile_loadconfig(&tiles);
}

AmxTiles::~AmxTiles() { _tile_release(); }

void AmxTiles::multiply(std::int64_t count, std::int64_t steps, const Left& left, const Bfloat16* right,
                        const Sums& sums) {
  settle_memory();
  switch (count) {
    case 1: sum_products<1>(steps, left, right, sums); break;
    case 2: sum_products<2>(steps, left, right, sums); break;
    case 3: sum_products<3>(steps, left, right, sums); break;
    default: sum_products<4>(steps, left, right, sums); break;
  }
  settle_memory();
}

#else
bool has_amx() { return false; }
AmxTiles::AmxTiles(std::int64_t, std::int64_t) {}
AmxTiles::~AmxTiles() = default;
void AmxTiles::multiply(std::int64_t, std::int64_t, const Left&, const Bfloat16*, const Sums&) {}
#endif

}  // namespace deq::cpu
