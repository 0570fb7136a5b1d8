// A client of the presence gateway in Go, with grpc-go.
//
//	client 127.0.0.1:50051            # without TLS
//	client localhost:50051 ca.pem     # with TLS, trusting this authority
//
// The stubs are generated into gen/src; see README.md, one directory up.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"reflect"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	presence "github.com/presence-gateway/presence-gateway/gen/go/genesys/presence/v1"
)

const serviceConfig = "../../../proto/service-config.json"

var users []string

func init() {
	for n := 1; n <= 100; n++ {
		users = append(users, fmt.Sprintf("00000000-0000-4000-8000-%012d", n))
	}
}

// connect makes a connection; make one for the whole process, and keep it.
func connect(address string, ca string) (*grpc.ClientConn, error) {
	config, err := os.ReadFile(serviceConfig)
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{
		// The retry policy and the timeout of each method. Before grpc-go
		// 1.40, retries need GRPC_GO_RETRY=on in the environment as well.
		grpc.WithDefaultServiceConfig(string(config)),
		// The response to 5000 ids has some 2 MB; a client accepts 4 MiB by default.
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(8 << 20)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute}),
	}
	if ca == "" {
		return grpc.Dial(address, append(options, grpc.WithInsecure())...)
	}
	secure, err := credentials.NewClientTLSFromFile(ca, "")
	if err != nil {
		return nil, err
	}
	return grpc.Dial(address, append(options, grpc.WithTransportCredentials(secure))...)
}

// bearer is the token of the user on whose behalf a call is made, as a call option.
type bearer string

func (token bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(token)}, nil
}

// RequireTransportSecurity should be true if the gateway has TLS: then a
// token never travels without.
func (bearer) RequireTransportSecurity() bool { return false }

func as(token string) grpc.CallOption { return grpc.PerRPCCredentials(bearer(token)) }

type client struct {
	presence.PresenceServiceClient
	stream presence.PresenceStreamServiceClient
	token  string
}

func (c client) get(user, token string, limit time.Duration) (*presence.UserPresence, error) {
	// The deadline travels with the call, and the gateway keeps to it too.
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	request := &presence.GetUserPresencesPurecloudRequest{UserId: user}
	return c.GetUserPresencesPurecloud(ctx, request, as(token))
}

func (c client) unary() {
	answer, err := c.get(users[0], c.token, 5*time.Second)
	succeeded(err)
	same(answer.GetPresenceDefinition().GetSystemPresence(), "Available")
}

func (c client) bulk() {
	request := &presence.GetUsersPresencesPurecloudBulkRequest{Ids: append(users[:100:100], "nobody")}
	// Without a deadline, the timeout of the service config applies. The gateway
	// compresses responses to compressed requests, which pays off over a slow network.
	answer, err := c.GetUsersPresencesPurecloudBulk(context.Background(), request, as(c.token),
		grpc.UseCompressor(gzip.Name))
	succeeded(err)
	same(len(answer.GetPresences()), 100)
	same(answer.GetMissingIds(), []string{"nobody"})
}

// One of the two batches fails; the response still has the presences of the other.
func (c client) partialResults() {
	request := &presence.GetUsersPresencesPurecloudBulkRequest{Ids: users, AllowPartialResults: true}
	answer, err := c.GetUsersPresencesPurecloudBulk(context.Background(), request, as(c.token+"-partial"))
	succeeded(err)
	failed := 0
	for _, failure := range answer.GetFailures() {
		failed += len(failure.GetIds())
		// Each failure is a google.rpc.Status with the details of an error.
		same(codes.Code(failure.GetStatus().GetCode()), codes.Internal)
	}
	same([]int{len(answer.GetPresences()), failed}, []int{50, 50})
}

func (c client) deadline() {
	_, err := c.get(users[0], c.token+"-slow", 300*time.Millisecond)
	same(status.Code(err), codes.DeadlineExceeded)
}

func (c client) errors() {
	_, err := c.get("nobody", c.token, 5*time.Second)
	info := details(err).info
	same([]string{info.GetDomain(), info.GetReason()}, []string{"genesys.cloud", "NOT_FOUND"})

	_, err = c.get("..", c.token, 5*time.Second)
	same(len(details(err).wrong.GetFieldViolations()), 1)
	same(details(err).wrong.GetFieldViolations()[0].GetField(), "user_id")

	// The vendor returns 429 with a delay of 30 s. The deadline is 5 s, so the
	// gateway fails the call at once, with the delay in the error.
	_, err = c.get(users[0], c.token+"-limited", 5*time.Second)
	same(status.Code(err), codes.ResourceExhausted)
	delay := details(err).retry.GetRetryDelay().AsDuration()
	same(delay > 25*time.Second && delay <= 30*time.Second, true)
}

// errorDetails are the details of an error.
type errorDetails struct {
	info  *errdetails.ErrorInfo
	wrong *errdetails.BadRequest
	retry *errdetails.RetryInfo
}

func details(err error) (found errorDetails) {
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			found.info = detail
		case *errdetails.BadRequest:
			found.wrong = detail
		case *errdetails.RetryInfo:
			found.retry = detail
		}
	}
	return found
}

func (c client) retries() {
	// The vendor is unavailable for three requests, as many as the gateway sends for one call.
	_, err := c.get(users[0], c.token+"-unavailable", 10*time.Second)
	succeeded(err)

	// A PATCH is never retried automatically, although a second one would succeed.
	message := "lunch"
	request := &presence.PatchUserPresencesPurecloudRequest{
		UserId: users[0], Body: &presence.UserPresence{Message: &message},
	}
	_, err = c.PatchUserPresencesPurecloud(context.Background(), request, as(c.token+"-unavailable"))
	same(status.Code(err), codes.Unavailable)
}

// Any number of ids in constant memory: flow control follows the vendor's pace.
func (c client) streamedBulk() {
	// A context that ends ends the stream. No deadline: its duration depends on the number of ids.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := c.stream.StreamUsersPresencesPurecloudBulk(ctx, as(c.token))
	succeeded(err)
	go func() {
		ids := users[:100:100]
		for n := 0; n < 20; n++ {
			ids = append(ids, fmt.Sprint("nobody-", n))
		}
		for ; len(ids) > 0; ids = ids[30:] {
			// Recv returns the status of an error here.
			if stream.Send(&presence.StreamUsersPresencesPurecloudBulkRequest{Ids: ids[:30]}) != nil {
				return
			}
		}
		stream.CloseSend()
	}()

	read, missing := 0, 0
	var progress *presence.StreamProgress
	for {
		answer, err := stream.Recv()
		if err == io.EOF {
			break
		}
		succeeded(err)
		read += len(answer.GetPresences())
		missing += len(answer.GetMissingIds())
		progress = answer.GetProgress()
	}
	same([]int{read, missing}, []int{100, 20})
	same([]int64{progress.GetReceived(), progress.GetDone()}, []int64{120, 100})
}

func succeeded(err error) {
	if err != nil {
		log.Fatalf("a call failed: %v", err)
	}
}

func same(actual, expected interface{}) {
	if !reflect.DeepEqual(actual, expected) {
		log.Fatalf("%v should be %v", actual, expected)
	}
}

func main() {
	ca := ""
	if len(os.Args) > 2 {
		ca = os.Args[2]
	}
	connection, err := connect(os.Args[1], ca)
	succeeded(err)
	defer connection.Close()
	c := client{
		presence.NewPresenceServiceClient(connection),
		presence.NewPresenceStreamServiceClient(connection),
		"go",
	}
	c.unary()
	c.bulk()
	c.partialResults()
	c.deadline()
	c.errors()
	c.retries()
	fmt.Println("all unary calls: ok")
	c.streamedBulk()
	fmt.Println("streamed bulk: ok")
}
