module github.com/presence-gateway/presence-gateway/gen/go

go 1.21

require (
	google.golang.org/genproto/googleapis/api v0.0.0-20240814211410-ddb44dafa142
	google.golang.org/grpc v1.67.1
	google.golang.org/protobuf v1.35.1
)
