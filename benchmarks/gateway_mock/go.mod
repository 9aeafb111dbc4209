module splai.dev/benchmarks/gateway-mock

go 1.26
