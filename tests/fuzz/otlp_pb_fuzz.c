#include "tests/fuzz/otlp.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	return fuzz_otlp(OTLP_PROTOBUF, data, bytes);
}
