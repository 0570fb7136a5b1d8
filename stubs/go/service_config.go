package presencev1

import _ "embed"

// ServiceConfig has the retry policy and the timeout of each RPC, for
// grpc.WithDefaultServiceConfig.
//
//go:embed service-config.json
var ServiceConfig string
