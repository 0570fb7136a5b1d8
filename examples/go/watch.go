package main

// Watching presences as they change.

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "example.org/presence/presencev1"
)

var errDone = errors.New("done")

// watch takes what is new, until ctx ends or take returns an error: it begins another watch
// when one ends, for example in a roll-out. The first messages of each watch are the
// presences of all users: the current state.
func (c *client) watch(ctx context.Context, users []string,
	take func(*pb.WatchUsersPresencesResponse) error) error {
	delay := time.Second
	for {
		received, err := c.watchOnce(ctx, users, take)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch status.Code(err) {
		case codes.InvalidArgument, codes.Unauthenticated, codes.Unimplemented:
			return err // Another watch would end in the same way.
		}
		if _, isStatus := status.FromError(err); !isStatus {
			return err
		}
		if received {
			delay = time.Second
		}
		// At a random time, so that callers who lost a replica together do not come together.
		time.Sleep(time.Duration(rand.Int63n(int64(delay))))
		if delay *= 2; delay > time.Minute {
			delay = time.Minute
		}
	}
}

// watchOnce watches until the end, and returns whether anything came.
func (c *client) watchOnce(ctx context.Context, users []string,
	take func(*pb.WatchUsersPresencesResponse) error) (received bool, err error) {
	// No deadline: a watch lasts. Something comes every 25 s; keepalive notices a lost
	// connection. cancel ends the stream on any return.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.watches.WatchUsersPresences(ctx, &pb.WatchUsersPresencesRequest{Ids: users}, c.token)
	for err == nil {
		var message *pb.WatchUsersPresencesResponse
		if message, err = stream.Recv(); err == nil {
			received = true
			err = take(message)
		}
	}
	return received, err
}

// runWatch watches ten users until one of them changes, by a write of its own.
func runWatch(ctx context.Context, c *client) error {
	var users []string // those of the sandbox
	for n := 1; n <= 10; n++ {
		users = append(users, fmt.Sprintf("00000000-0000-4000-8000-%012d", n))
	}
	meal, err := c.definition(ctx, "Meal")
	if err != nil {
		return err
	}
	current := map[string]string{}
	err = c.watch(ctx, append(users[:10:10], "nobody"), func(message *pb.WatchUsersPresencesResponse) error {
		if change := message.GetPresence(); change != nil {
			now := change.GetPresence().GetPresenceDefinition().GetSystemPresence()
			current[change.GetUserId()] = now
			if change.GetCause() == pb.UserPresenceChange_CHANGE {
				fmt.Println("change:", now)
				return errDone
			}
		}
		if state := message.GetState(); state != nil {
			fmt.Println("state:", state.GetMode())
			if state.GetMode() == pb.WatchState_LIVE {
				fmt.Printf("current: %d users\n", len(current))
				if _, err := c.writeOne(ctx, users[4], meal, nil); err != nil {
					return err
				}
			}
		}
		if failure := message.GetFailure(); failure != nil {
			printFailures("watch", []*pb.BulkReadFailure{failure})
		}
		if missing := message.GetMissingIds(); len(missing) > 0 {
			fmt.Printf("missing: %d\n", len(missing))
		}
		return nil
	})
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}
