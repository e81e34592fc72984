/* The fuzz target, as libFuzzer and fuzz_main.c call it. */
#ifndef TESTS_FUZZ_MMIO_FUZZ_H
#define TESTS_FUZZ_MMIO_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of one record: kind (4 bits), log2 of the width (2), device (8), offset (16), value
 * (64). */
#define FUZZ_RECORD 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
