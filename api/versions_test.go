package api_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/ports"
)

func entryOf(version string, status engineversion.Status) engineversion.EngineVersion {
	return engineversion.EngineVersion{
		Version: version, ImageRef: "engine:" + version, Status: status, CreatedAt: moment, UpdatedAt: moment.Add(time.Hour),
	}
}

// entryJSON is an entry of version 1.4.3 as it is told, but for its last member.
const entryJSON = `{"version":"1.4.3","image_ref":"engine:1.4.3","status":"active",` +
	`"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T13:00:00Z"`

// All versions are listed as the registry has them, or those of one status; no
// versions are a list.
func TestListEngineVersions(t *testing.T) {
	h := build(t)
	all := []engineversion.EngineVersion{entryOf("1.4.2", "deprecated"), entryOf("1.4.3", "active")}
	h.versions.EXPECT().List(gomock.Any()).DoAndReturn(func(any) ([]engineversion.EngineVersion, error) {
		return append([]engineversion.EngineVersion(nil), all...), nil
	}).Times(3)
	got := h.call(t, http.MethodGet, versions, "")
	require.Equal(t, http.StatusOK, got.status)
	require.JSONEq(t, `{"engine_versions":[`+
		`{"version":"1.4.2","image_ref":"engine:1.4.2","status":"deprecated","created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T13:00:00Z"},`+
		entryJSON+`}]}`, got.body)
	require.JSONEq(t, `{"engine_versions":[`+entryJSON+`}]}`, h.call(t, http.MethodGet, versions+"?status=active", "").body)
	require.Contains(t, h.call(t, http.MethodGet, versions+"?status=deprecated", "").body, `"1.4.2"`)

	h.versions.EXPECT().List(gomock.Any()).Return(nil, nil)
	require.JSONEq(t, `{"engine_versions":[]}`, h.call(t, http.MethodGet, versions, "").body)
	h.versions.EXPECT().List(gomock.Any()).Return(nil, errors.New("canary"))
	got = h.call(t, http.MethodGet, versions, "")
	got.refused(t, http.StatusServiceUnavailable, "service_unavailable")
	require.NotContains(t, got.body, "canary")
}

// A version is told with who runs it, at most a hundred by name. A plus sign in
// the path is one, however it is sent.
func TestGetEngineVersion(t *testing.T) {
	h := open(t)
	for target, version := range map[string]string{
		"1.4.3": "1.4.3", "1.4.3+b.5": "1.4.3+b.5", "1.4.3%2Bb.5": "1.4.3+b.5", "1.4.3-rc.1": "1.4.3-rc.1", "%31.4.3": "1.4.3",
	} {
		h.versions.EXPECT().Get(gomock.Any(), version).Return(entryOf("1.4.3", "active"), nil)
		h.versions.EXPECT().Users(gomock.Any(), ports.VersionUsersInput{Version: "1.4.3", Limit: 100}).
			Return(ports.VersionUsers{Count: 101, GameIDs: []string{"demo-1", "demo-2"}}, nil)
		got := h.raw(t, rawRequest("GET", versions+"/"+target, ""))
		require.Equal(t, http.StatusOK, got.status, got.body)
		require.JSONEq(t, entryJSON+`,"used_by":{"count":101,"game_ids":["demo-1","demo-2"]}}`, got.body)
	}
}

// Asking for a version in vain: one that cannot be, one that is not, and a
// registry that does not answer.
func TestGetEngineVersionInVain(t *testing.T) {
	h := open(t)
	for _, version := range []string{"latest", "v1.4.3", "1.4", "1.4.3%20", "1.4.3%00", "01.4.3", "1.4.3-", "1.4.3%2Fx", "%2e%2e", "1000000000000000000.0.0"} {
		h.raw(t, rawRequest("GET", versions+"/"+version, "")).blames(t, "version")
	}
	h.versions.EXPECT().Get(gomock.Any(), "1.4.9").Return(engineversion.EngineVersion{}, engineversion.ErrNotFound)
	problem := h.call(t, http.MethodGet, versions+"/1.4.9", "").refused(t, http.StatusNotFound, "engine_version_not_found")
	require.Equal(t, `engine version "1.4.9" is not registered`, problem.Detail)
	h.versions.EXPECT().Get(gomock.Any(), "1.4.9").Return(engineversion.EngineVersion{}, errors.New("canary"))
	h.call(t, http.MethodGet, versions+"/1.4.9", "").refused(t, http.StatusServiceUnavailable, "service_unavailable")
	h.versions.EXPECT().Get(gomock.Any(), "1.4.3").Return(entryOf("1.4.3", "active"), nil)
	h.versions.EXPECT().Users(gomock.Any(), gomock.Any()).Return(ports.VersionUsers{}, errors.New("canary"))
	h.call(t, http.MethodGet, versions+"/1.4.3", "").refused(t, http.StatusServiceUnavailable, "service_unavailable")
}

// A new version is a 201, another image of one that nobody runs a 200, and of
// one that games run a 409 that names the field.
func TestPutEngineVersion(t *testing.T) {
	const body = `{"image_ref":"engine:1.4.3"}`
	for created, status := range map[bool]int{true: 201, false: 200} {
		h := build(t)
		h.versions.EXPECT().PutImage(gomock.Any(), gomock.Any()).DoAndReturn(
			func(_ any, input ports.PutImageInput) (engineversion.EngineVersion, bool, error) {
				require.NoError(t, input.Validate())
				input.Now = time.Time{}
				require.Equal(t, ports.PutImageInput{Version: "1.4.3", ImageRef: "engine:1.4.3"}, input)
				return entryOf("1.4.3", "active"), created, nil
			})
		h.versions.EXPECT().Users(gomock.Any(), gomock.Any()).Return(ports.VersionUsers{}, nil)
		got := h.call(t, http.MethodPut, versions+"/1.4.3", body)
		require.Equal(t, status, got.status, got.body)
		require.JSONEq(t, entryJSON+`,"used_by":{"count":0,"game_ids":[]}}`, got.body)
	}
	h := build(t)
	h.versions.EXPECT().PutImage(gomock.Any(), gomock.Any()).Return(engineversion.EngineVersion{}, false, engineversion.ErrInUse)
	problem := h.call(t, http.MethodPut, versions+"/1.4.3", body).refused(t, http.StatusConflict, "engine_version_in_use")
	require.Equal(t, "image_ref", problem.Errors[0].Field)
	h.versions.EXPECT().PutImage(gomock.Any(), gomock.Any()).Return(engineversion.EngineVersion{}, false, errors.New("canary"))
	h.call(t, http.MethodPut, versions+"/1.4.3", body).refused(t, http.StatusServiceUnavailable, "service_unavailable")
}

// A version is deprecated and activated, and the answer tells who runs it; one
// that is not registered is a 404.
func TestDeprecateAndActivate(t *testing.T) {
	for verb, status := range map[string]engineversion.Status{"deprecate": "deprecated", "activate": "active"} {
		h := build(t)
		h.versions.EXPECT().SetStatus(gomock.Any(), gomock.Any()).DoAndReturn(
			func(_ any, input ports.SetVersionStatusInput) (engineversion.EngineVersion, error) {
				require.NoError(t, input.Validate())
				input.Now = time.Time{}
				require.Equal(t, ports.SetVersionStatusInput{Version: "1.4.3", Status: status}, input)
				return entryOf("1.4.3", status), nil
			})
		h.versions.EXPECT().Users(gomock.Any(), gomock.Any()).Return(ports.VersionUsers{Count: 1, GameIDs: []string{"demo-1"}}, nil)
		got := h.call(t, http.MethodPost, versions+"/1.4.3/"+verb, "")
		require.Equal(t, http.StatusOK, got.status, got.body)
		require.Contains(t, got.body, `"status":"`+string(status)+`"`)
		require.Contains(t, got.body, `"game_ids":["demo-1"]`)

		h.versions.EXPECT().SetStatus(gomock.Any(), gomock.Any()).Return(engineversion.EngineVersion{}, engineversion.ErrNotFound)
		h.call(t, http.MethodPost, versions+"/1.4.3/"+verb, "").refused(t, http.StatusNotFound, "engine_version_not_found")
		h.call(t, http.MethodPost, versions+"/1.4/"+verb, "").blames(t, "version")
	}
}
