#pragma once

#include <algorithm>

#include "core/cuda/lowering.h"

// Sums over rows of [outer, rows, columns], column by column: the one reduction behind sums, group norm and batch norm.

namespace deq::cuda {

/// Two sums of one column over one piece of its rows, in double.
struct ColumnPair {
  double first = 0, second = 0;
  DEQ_HOST_DEVICE ColumnPair& operator+=(const ColumnPair& other) {
    first += other.first;
    second += other.second;
    return *this;
  }
};

/// How [outer, rows, columns] is cut: blocks take a piece of the rows and a tile of `lanes` columns, `lines` rows at a
/// time. Neighbouring threads read neighbouring columns. The cut, and so every bit of the sums, depends on extents
/// alone.
struct ColumnBlocks {
  Index outer = 1, rows = 1, columns = 1;
  Index pieces = 1, rows_per_piece = 1, lanes = 1, lines = 1, tiles = 1;

  ColumnBlocks(std::int64_t outer_extent, std::int64_t row_extent, std::int64_t column_extent, int most_pieces)
      : outer(narrow(outer_extent)), rows(narrow(row_extent)), columns(narrow(column_extent)) {
    constexpr Index kThreads = 256, kWidest = 128, kTile = 64;
    lanes = columns <= kWidest ? columns : kTile;
    lines = std::min(kThreads / lanes, rows);
    tiles = (columns + lanes - 1) / lanes;
    pieces = pieces_of(std::int64_t{outer} * tiles, std::int64_t{rows} * lanes, most_pieces);
    rows_per_piece = (rows + pieces - 1) / pieces;
    pieces = (rows + rows_per_piece - 1) / rows_per_piece;
  }
  [[nodiscard]] int threads() const { return whole_warps(std::int64_t{lanes} * lines); }
  [[nodiscard]] std::int64_t blocks() const { return std::int64_t{outer} * pieces * tiles; }
  /// A pair of every column of every piece.
  [[nodiscard]] std::int64_t pairs() const { return std::int64_t{outer} * pieces * columns; }
  /// Shared memory of `sum`.
  [[nodiscard]] std::size_t shared_bytes() const { return static_cast<std::size_t>(threads()) * sizeof(ColumnPair); }
  DEQ_HOST_DEVICE Index begin(Index piece) const { return piece * rows_per_piece; }
  DEQ_HOST_DEVICE Index end(Index piece) const {
    const Index last = begin(piece) + rows_per_piece;
    return last < rows ? last : rows;
  }

  /// Sums of one tile over one piece, by all threads of `block`; emit(column, pair) by one thread a column.
  /// terms.start(o, column) is what thread-local sums start from, terms.add(index, start, first, second) adds one
  /// element, terms.finish(start, count, pair) turns the joined sums of `count` elements into what is emitted.
  template <class Block, class Terms, class Emit>
  DEQ_HOST_DEVICE void sum(const Block& block, Index o, Index piece, Index tile, const Terms& terms,
                           const Emit& emit) const {
    ColumnPair* partial = block.template shared<ColumnPair>();
    const Index first_column = tile * lanes, last_row = end(piece);
    block.each_thread([&](int thread) {
      const Index lane = thread % lanes, line = thread / lanes, column = first_column + lane;
      if (line >= lines) return;
      float first = 0, second = 0;
      if (column < columns) {
        const float start = terms.start(o, column);
        for (Index row = begin(piece) + line; row < last_row; row += lines)
          terms.add((o * rows + row) * columns + column, start, first, second);
      }
      partial[thread] = {static_cast<double>(first), static_cast<double>(second)};
    });
    for (Index open = lines; open > 1;) {
      const Index half = (open + 1) / 2;
      block.each_thread([&](int thread) {
        if (thread < (open - half) * lanes) partial[thread] += partial[thread + half * lanes];
      });
      open = half;
    }
    block.each_thread([&](int thread) {
      const Index column = first_column + thread;
      if (thread >= lanes || column >= columns) return;
      emit(column, terms.finish(terms.start(o, column), end(piece) - begin(piece), partial[thread]));
    });
  }
};

/// Leaves the pairs of all pieces in pairs[(o * pieces + piece) * columns + column].
template <class Terms>
struct SumColumns {
  ColumnBlocks cut;
  Terms terms;
  ColumnPair* pairs;

  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const Index tile = block.index() % cut.tiles, row = block.index() / cut.tiles;
    const Index o = row / cut.pieces, piece = row - o * cut.pieces;
    ColumnPair* to = pairs + std::int64_t{row} * cut.columns;
    cut.sum(block, o, piece, tile, terms, [to](Index column, const ColumnPair& pair) { to[column] = pair; });
  }
};

/// Mean and sum of squared distances from it, about the first row so that nothing cancels, as {mean, spread}.
template <class Input>
struct MomentTerms {
  Input input;
  Index rows, columns;
  DEQ_HOST_DEVICE float start(Index o, Index column) const { return input(o * rows * columns + column); }
  DEQ_HOST_DEVICE void add(Index i, float start, float& first, float& second) const {
    const float distance = input(i) - start;
    first += distance;
    second += distance * distance;
  }
  DEQ_HOST_DEVICE ColumnPair finish(float start, Index count, const ColumnPair& sums) const {
    const double shifted = sums.first / count;
    return {static_cast<double>(start) + shifted, sums.second - sums.first * shifted};
  }
};

}  // namespace deq::cuda
