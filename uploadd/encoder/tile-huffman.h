/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdio.h>

#include <jpeglib.h>

/* Huffman tables for what screens show, instead of those of ITU-T T.81 annex K: made from recordings of a
 * browser, a terminal, an editor, windows and a video with the quantisation of tile-jpeg.c, by package-merge
 * (Larmore and Hirschberg, 1990) with a limit of 16 bits: tools/bench huffman. Every symbol of 8-bit
 * baseline JPEG has a code. Index 0 is for brightness, 1 for colour. They take 3 to 5 % fewer bytes on text,
 * and no more on video. */
extern const JHUFF_TBL tile_huffman_dc[2], tile_huffman_ac[2];
