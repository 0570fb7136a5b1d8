// Calls the presence gateway with grpc-go. README.md shows how to run it.
//
//	go run . [-watch] [ADDRESS [CA_FILE]]     # the token: PRESENCE_GATEWAY_TOKEN
//
// With -watch, it watches presences instead of making the other calls.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "example.org/presence/presencev1"
)

// printFailures prints the causes of partial results. In code, decide by each status as by that of a call.
func printFailures(step string, failures []*pb.BulkReadFailure) {
	for _, failure := range failures {
		fmt.Printf("%s: %d failed: %s\n", step, len(failure.GetIds()), explain(status.ErrorProto(failure.GetStatus())))
	}
}

func run(ctx context.Context, c *client) error {
	var users []string // those of the sandbox
	for n := 1; n <= 100; n++ {
		users = append(users, fmt.Sprintf("00000000-0000-4000-8000-%012d", n))
	}

	answer, err := c.readOne(ctx, users[0], 10*time.Second)
	if err != nil {
		return err
	}
	fmt.Println("read:", answer.GetPresenceDefinition().GetSystemPresence())

	bulk, err := c.readMany(ctx, users)
	if err != nil {
		return err
	}
	failed := 0
	for _, failure := range bulk.GetFailures() {
		failed += len(failure.GetIds())
	}
	fmt.Printf("bulk: %d read, %d missing, %d failed\n", len(bulk.GetPresences()), len(bulk.GetMissingIds()), failed)
	printFailures("bulk", bulk.GetFailures())

	var progress *pb.StreamProgress
	err = c.readStream(ctx, append(users[:100:100], "nobody"), func(answer *pb.StreamUsersPresencesPurecloudBulkResponse) {
		progress = answer.GetProgress()
		printFailures("stream", answer.GetFailures())
	})
	if err != nil {
		return err
	}
	fmt.Printf("stream: %d read, %d missing, %d failed\n", progress.GetDone(), progress.GetMissing(), progress.GetFailed())

	meal, err := c.definition(ctx, "Meal")
	if err != nil {
		return err
	}
	message := "back at one"
	answer, err = c.writeOne(ctx, users[1], meal, &message)
	if err != nil {
		return err
	}
	fmt.Printf("write: %s, %s\n", answer.GetPresenceDefinition().GetSystemPresence(), answer.GetMessage())
	available, err := c.definition(ctx, "Available")
	if err != nil {
		return err
	}
	written, err := c.writeMany(ctx, users, available)
	if err != nil {
		return err
	}
	fmt.Printf("bulk write: %d applied, %d failed, %d unknown, %d not_tried\n",
		len(written.applied), len(written.failed), len(written.unknown), len(written.notTried))
	if written.cause != nil {
		fmt.Println("bulk write:", explain(written.cause))
	}

	for _, user := range []string{"nobody", ".."} {
		if _, err := c.readOne(ctx, user, 10*time.Second); err != nil {
			fmt.Println("error:", explain(err))
		}
	}

	// After UNAVAILABLE, grpc-go repeats a read by itself, at most twice and within the
	// timeout, as the service config says; it never repeats the two writes above.
	answer, err = c.readOne(ctx, users[2], 20*time.Second)
	if err != nil {
		return err
	}
	fmt.Println("retry:", answer.GetPresenceDefinition().GetSystemPresence())

	answer, err = c.readOne(ctx, users[3], 3*time.Second)
	switch status.Code(err) {
	case codes.OK:
		fmt.Println("deadline:", answer.GetPresenceDefinition().GetSystemPresence())
	case codes.DeadlineExceeded:
		fmt.Println("deadline: exceeded")
	default:
		return err
	}
	return nil
}

func start() error {
	address, caFile := "127.0.0.1:50051", ""
	isWatch := flag.Bool("watch", false, "watch presences")
	flag.Parse()
	if flag.NArg() > 0 {
		address = flag.Arg(0)
	}
	if flag.NArg() > 1 {
		caFile = flag.Arg(1)
	}
	opened, err := connect(address, caFile)
	if err != nil {
		return err
	}
	defer opened.Close()
	c := newClient(opened, currentToken(""))
	if *isWatch {
		return runWatch(context.Background(), c, currentToken)
	}
	return run(context.Background(), c)
}

// currentToken returns a token of Genesys Cloud: another one than that which was just rejected,
// if any. Of a service: one from the vendor's login host, by OAuth 2, which it keeps until it is
// about to expire or is the rejected one.
func currentToken(rejected string) string {
	if token, ok := os.LookupEnv("PRESENCE_GATEWAY_TOKEN"); ok {
		return token
	}
	return "any"
}

func main() {
	if err := start(); err != nil {
		fmt.Fprintln(os.Stderr, "failed:", explain(err))
		os.Exit(1)
	}
}
