package grpc

// NewClient is what Debian's grpc-go 1.33 lacks: later versions have it.
func NewClient(target string, options ...DialOption) (*ClientConn, error) {
	return Dial(target, options...)
}
