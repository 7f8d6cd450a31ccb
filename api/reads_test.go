package api_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/domain/runtime"
)

// A caller who takes no answer off our hands is cut off after a bounded time,
// and may have a bounded number of reads under way until then.
func TestAnswersHaveToBeTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t)
		r.runtimes.EXPECT().Get(gomock.Any(), "demo-1").AnyTimes().Return(record("demo-1"), nil)
		conn, err := r.pipes.dial(t.Context(), "", "")
		require.NoError(t, err)
		began := time.Now()
		_, err = io.WriteString(conn, rawRequest(http.MethodGet, "/api/v1/internal/runtimes/demo-1", ""))
		require.NoError(t, err)
		// A pipe takes nothing that is not read: here is somebody who reads
		// nothing until the server has given up.
		<-time.After(api.AnswerTimeout)
		synctest.Wait()
		text, _ := io.ReadAll(conn)
		require.Empty(t, text)
		require.Equal(t, api.AnswerTimeout, time.Since(began))
		require.NoError(t, r.end())
		require.NotContains(t, r.log.String(), `"level":"ERROR"`)
	})
}

// Reads that a caller has under way are bounded; others are let through.
func TestReadsAtOnceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t)
		release := make(chan struct{})
		h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").AnyTimes().DoAndReturn(
			func(context.Context, string) (runtime.RuntimeRecord, error) {
				<-release
				return record("demo-1"), nil
			})
		read := func() reply { return h.call(t, http.MethodGet, "/api/v1/internal/runtimes/demo-1", "") }
		answers := make(chan reply, api.MaxReads)
		for range api.MaxReads {
			go func() { answers <- read() }()
		}
		synctest.Wait()
		got := read()
		got.refused(t, http.StatusTooManyRequests, "too_many_requests")
		require.Equal(t, "1", got.header.Get("Retry-After"))
		require.Equal(t, http.StatusOK, h.call(t, http.MethodPost, patchPath, goodBody).status, "what is no read goes on")
		close(release)
		for range api.MaxReads {
			require.Equal(t, http.StatusOK, (<-answers).status)
		}
		require.Equal(t, http.StatusOK, read().status)
	})
}
