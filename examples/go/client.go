package main

// A client of the presence gateway: connection, token, calls, errors.

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	pb "example.org/presence/presencev1"
)

//go:generate ./generate

//go:embed presencev1/service-config.json
var serviceConfig string

var local = regexp.MustCompile(`^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$`)

// connection is one to a gateway. Without TLS, everyone on the way can read the token.
type connection struct {
	*grpc.ClientConn
	isPlaintext bool
}

// connect opens a connection. Keep one per process: it carries all calls, and
// reconnects by itself. It has TLS, but to this machine or where http:// asks for it.
func connect(address, caFile string) (*connection, error) {
	host := strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "http://")
	isPlaintext := caFile == "" && (local.MatchString(address) || strings.HasPrefix(address, "http://"))
	// Trusts the public authorities.
	transport := credentials.NewTLS(nil)
	var err error
	if isPlaintext {
		transport = insecure.NewCredentials()
	} else if caFile != "" {
		if transport, err = credentials.NewClientTLSFromFile(caFile, ""); err != nil {
			return nil, err
		}
	}
	opened, err := grpc.NewClient(host,
		grpc.WithTransportCredentials(transport),
		// For each RPC: whether grpc-go repeats it after UNAVAILABLE, and its longest timeout.
		grpc.WithDefaultServiceConfig(serviceConfig),
		// The response to 5000 ids has about 2 MB. By default, a client accepts 4 MiB.
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(8<<20)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute}),
	)
	if err != nil {
		return nil, err
	}
	return &connection{opened, isPlaintext}, nil
}

// bearer is the Genesys Cloud token of the user for whom a call is made.
type bearer struct {
	token       string
	isPlaintext bool
}

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

// RequireTransportSecurity keeps grpc-go from sending the token without TLS.
func (b bearer) RequireTransportSecurity() bool { return !b.isPlaintext }

// client makes calls for one user.
type client struct {
	presence pb.PresenceServiceClient
	stream   pb.PresenceStreamServiceClient
	watches  pb.PresenceWatchServiceClient
	token    grpc.CallOption
	// Whether the connection has no TLS.
	isPlaintext bool
}

func newClient(to *connection, token string) *client {
	return &client{
		presence: pb.NewPresenceServiceClient(to),
		stream:   pb.NewPresenceStreamServiceClient(to),
		watches:  pb.NewPresenceWatchServiceClient(to),
		token:    grpc.PerRPCCredentials(bearer{token, to.isPlaintext}),

		isPlaintext: to.isPlaintext,
	}
}

func (c *client) readOne(ctx context.Context, user string, timeout time.Duration) (*pb.UserPresence, error) {
	// The gateway gets the deadline with the call, and heeds it.
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request := &pb.GetUserPresencesPurecloudRequest{UserId: user}
	return c.presence.GetUserPresencesPurecloud(ctx, request, c.token)
}

// readMany reads up to 5000 users. 50 users cost one request of the token's rate limit.
// With partial results, the call succeeds although batches failed: Failures has their users.
func (c *client) readMany(ctx context.Context, users []string) (*pb.GetUsersPresencesPurecloudBulkResponse, error) {
	request := &pb.GetUsersPresencesPurecloudBulkRequest{Ids: users, AllowPartialResults: true}
	// Without a deadline, the timeout of the service config holds. To a compressed request,
	// the gateway returns a compressed response: for slow networks.
	return c.presence.GetUsersPresencesPurecloudBulk(ctx, request, c.token, grpc.UseCompressor(gzip.Name))
}

// readStream reads any number of users in constant memory: the gateway sets the pace.
func (c *client) readStream(ctx context.Context, users []string,
	take func(*pb.StreamUsersPresencesPurecloudBulkResponse)) error {
	// No deadline: the duration depends on the number of ids. cancel ends the stream on any return.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.stream.StreamUsersPresencesPurecloudBulk(ctx, c.token)
	if err != nil {
		return err
	}
	go func() {
		for first := 0; first < len(users); first += 50 {
			last := first + 50
			if last > len(users) {
				last = len(users)
			}
			if stream.Send(&pb.StreamUsersPresencesPurecloudBulkRequest{Ids: users[first:last]}) != nil {
				return // The stream has failed: Recv returns why.
			}
		}
		stream.CloseSend()
	}()
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		take(answer)
	}
}

// definition returns a status, for example "Meal", by its label in any language.
func (c *client) definition(ctx context.Context, label string) (*pb.PresenceDefinition, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	locale := "ALL"
	request := &pb.GetPresenceDefinitionsRequest{LocaleCode: &locale}
	listing, err := c.presence.GetPresenceDefinitions(ctx, request, c.token)
	if err != nil {
		return nil, err
	}
	for _, each := range listing.GetEntities() {
		for _, name := range each.GetLanguageLabels() {
			if name == label {
				return &pb.PresenceDefinition{Id: each.Id}, nil
			}
		}
	}
	return nil, fmt.Errorf("no presence definition has the label %q", label)
}

// writeOne sets the status of a user. A nil message stays as it is; an empty one is erased.
func (c *client) writeOne(ctx context.Context, user string, definition *pb.PresenceDefinition,
	message *string) (*pb.UserPresence, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	body := &pb.UserPresence{PresenceDefinition: definition, Message: message}
	request := &pb.PatchUserPresencesPurecloudRequest{UserId: user, Body: body}
	return c.presence.PatchUserPresencesPurecloud(ctx, request, c.token)
}

// outcomes are the users of a bulk write by what became of their updates.
// Send notTried again, and failed when the cause is gone. Read unknown first.
type outcomes struct {
	applied, failed, unknown, notTried []string
	cause                              error // nil if all were applied
}

// writeMany sets the status of up to 5000 users, and returns what became of each.
func (c *client) writeMany(ctx context.Context, users []string, definition *pb.PresenceDefinition) (outcomes, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	updates := make([]*pb.MutableUserPresence, len(users))
	for i := range users {
		updates[i] = &pb.MutableUserPresence{Id: &users[i], PresenceDefinition: definition}
	}
	_, err := c.presence.PutUsersPresencesBulk(ctx, &pb.PutUsersPresencesBulkRequest{Body: updates}, c.token)
	if err == nil {
		return outcomes{applied: users}, nil
	}
	// Some updates may have been applied, whatever the code is. The report has their positions.
	report, found := detail[*pb.BulkWriteReport](err)
	if !found {
		return outcomes{}, err
	}
	named := func(spans []*pb.IndexRange) (named []string) {
		for _, span := range spans {
			named = append(named, users[span.GetFirst():span.GetLast()+1]...)
		}
		return named
	}
	return outcomes{
		applied:  named(report.GetApplied()),
		failed:   named(report.GetFailed()),
		unknown:  named(report.GetUnknown()),
		notTried: named(report.GetNotTried()),
		cause:    err,
	}, nil
}

// detail returns the detail of an error that has this type. An error that the
// library made, for example because it cannot connect, has none.
func detail[T any](err error) (found T, ok bool) {
	for _, each := range status.Convert(err).Details() {
		if found, ok = each.(T); ok {
			return found, true
		}
	}
	return found, false
}

// explain describes an error. In code, decide by code, domain and reason; never by the
// message. Log also the RequestInfo: Genesys Cloud's id of the request, for its support.
func explain(err error) string {
	parts := []string{code.Code(status.Code(err)).String()}
	if info, ok := detail[*errdetails.ErrorInfo](err); ok {
		parts = append(parts, info.GetDomain()+" "+info.GetReason())
	}
	if retryInfo, ok := detail[*errdetails.RetryInfo](err); ok {
		parts = append(parts, fmt.Sprintf("retry in %.1f s", retryInfo.GetRetryDelay().AsDuration().Seconds()))
	}
	message := status.Convert(err).Message()
	if badRequest, ok := detail[*errdetails.BadRequest](err); ok {
		var violations []string
		for _, violation := range badRequest.GetFieldViolations() {
			violations = append(violations, violation.GetField()+" "+violation.GetDescription())
		}
		message = strings.Join(violations, ", ")
	}
	return strings.Join(parts, ", ") + ": " + message
}
