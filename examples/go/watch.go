package main

// Watching presences as they change.

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "example.org/presence/presencev1"
)

const (
	// silence is twice the time after which the gateway repeats the state.
	silence = 2 * 25 * time.Second
	// maxDelay is the longest delay before another watch.
	maxDelay = time.Minute
)

var errDone = errors.New("done")

// stop is an error of whoever takes the messages, not of the watch.
type stop struct{ error }

// isCurrent returns whether all presences are current: by notifications or, where there are
// none, by polls.
func isCurrent(state *pb.WatchState) bool {
	return state.GetMode() == pb.WatchState_LIVE || state.GetMode() == pb.WatchState_POLLING
}

// watch takes what is new, until ctx ends or take returns an error: it begins another watch
// when one ends, for example in a roll-out. When a watch ends, take gets the state
// RESYNCING. Then the next one has a message about each user again, before LIVE or POLLING:
// keep the presences meanwhile, and show that they are not current. It returns what another
// watch would not mend. getToken gets the token that was just rejected, or "", and returns
// another one: a service keeps one until it is about to expire or is the rejected one.
func (c *client) watch(ctx context.Context, getToken func(rejected string) string, users []string,
	take func(*pb.WatchUsersPresencesResponse) error) error {
	token, delay := getToken(""), time.Second
	for {
		hadNews, err := c.watchOnce(ctx, token, users, take)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if taken := (stop{}); errors.As(err, &taken) {
			return taken.error
		}
		rejected := ""
		switch status.Code(err) {
		// Another watch would end in the same way. The first three are also those of the last
		// `failure`.
		case codes.InvalidArgument, codes.NotFound, codes.PermissionDenied, codes.Unimplemented:
			return err
		case codes.Unauthenticated:
			rejected = token
		}
		if token = getToken(rejected); token == rejected {
			return err
		}
		fmt.Fprintln(os.Stderr, "watch again:", explain(err))
		state := &pb.WatchState{Mode: pb.WatchState_RESYNCING, Status: status.Convert(err).Proto()}
		update := &pb.WatchUsersPresencesResponse_State{State: state}
		if err := take(&pb.WatchUsersPresencesResponse{Update: update}); err != nil {
			return err
		}
		if hadNews {
			delay = time.Second
		}
		// At a random time, so that callers who lost a replica together do not come together.
		wait := time.Duration(rand.Int63n(int64(delay)))
		if retryInfo, ok := detail[*errdetails.RetryInfo](err); ok {
			wait += retryInfo.GetRetryDelay().AsDuration()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		if delay *= 2; delay > maxDelay {
			delay = maxDelay
		}
	}
}

// watchOnce watches until the end, and returns whether it had a presence, or was current: a user
// who cannot be read may keep LIVE and POLLING away.
func (c *client) watchOnce(ctx context.Context, token string, users []string,
	take func(*pb.WatchUsersPresencesResponse) error) (hadNews bool, err error) {
	// No deadline: a watch lasts. cancel ends the stream on any return, and if nothing comes
	// for too long: its connection is lost.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(silence, cancel)
	defer watchdog.Stop()
	credentials := grpc.PerRPCCredentials(bearer{token, c.isPlaintext})
	stream, err := c.watches.WatchUsersPresences(ctx, &pb.WatchUsersPresencesRequest{Ids: users}, credentials)
	for err == nil {
		var message *pb.WatchUsersPresencesResponse
		if message, err = stream.Recv(); err == nil {
			watchdog.Stop() // Not while the message is handled.
			hadNews = hadNews || message.GetPresence() != nil || isCurrent(message.GetState())
			if taken := take(message); taken != nil {
				return hadNews, stop{taken}
			}
			watchdog.Reset(silence)
		}
	}
	return hadNews, err
}

// runWatch watches ten users until one of them changes, by a write of its own.
func runWatch(ctx context.Context, c *client, getToken func(rejected string) string) error {
	var users []string // those of the sandbox
	for n := 1; n <= 10; n++ {
		users = append(users, fmt.Sprintf("00000000-0000-4000-8000-%012d", n))
	}
	meal, err := c.definition(ctx, "Meal")
	if err != nil {
		return err
	}
	current, isWritten := map[string]string{}, false
	err = c.watch(ctx, getToken, append(users[:10:10], "nobody"), func(message *pb.WatchUsersPresencesResponse) error {
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
			if isCurrent(state) && !isWritten {
				fmt.Printf("current: %d users\n", len(current))
				if _, err := c.writeOne(ctx, users[4], meal, nil); err != nil {
					return err
				}
				isWritten = true
			}
		}
		if failure := message.GetFailure(); failure != nil {
			printFailures("watch", []*pb.BulkReadFailure{failure})
		}
		if missing := message.GetMissingIds(); len(missing) > 0 {
			fmt.Printf("missing: %d\n", len(missing))
		}
		// Of an earlier watch, they may have a presence that does not hold any more.
		for _, user := range append(message.GetMissingIds(), message.GetFailure().GetIds()...) {
			delete(current, user)
		}
		return nil
	})
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}
