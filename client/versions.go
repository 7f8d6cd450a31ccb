package client

import (
	"context"
	"net/http"
)

// ListEngineVersions returns the registered versions, by semver precedence, the
// lowest first.
func (c *Client) ListEngineVersions(ctx context.Context, params ListEngineVersionsParams) ([]EngineVersion, error) {
	list, err := ask[EngineVersionList](ctx, c, listEngineVersionsCall(params))
	return list.EngineVersions, err
}

// GetEngineVersion reads a version and who runs it.
//
// Codes: CodeEngineVersionNotFound.
func (c *Client) GetEngineVersion(ctx context.Context, version string) (EngineVersionDetail, error) {
	return ask[EngineVersionDetail](ctx, c, getEngineVersionCall(version))
}

// PutEngineVersion registers a version, or gives it another image. Created says
// that it is new; it is false when the request came through at a first try whose
// answer was lost.
//
// Codes: CodeEngineVersionInUse.
func (c *Client) PutEngineVersion(ctx context.Context, version, imageRef string) (registered EngineVersionDetail, created bool, err error) {
	got, err := c.send(ctx, putEngineVersionCall(version, PutEngineVersion{ImageRef: imageRef}))
	if err != nil {
		return registered, false, err
	}
	registered, err = decode[EngineVersionDetail](got)
	return registered, got.status == http.StatusCreated, err
}

// DeprecateEngineVersion keeps games from moving to a version, and tells which
// ones run it. Twice is as good as once.
//
// Codes: CodeEngineVersionNotFound.
func (c *Client) DeprecateEngineVersion(ctx context.Context, version string) (EngineVersionDetail, error) {
	asked := deprecateEngineVersionCall(version)
	asked.repeatable = true
	return ask[EngineVersionDetail](ctx, c, asked)
}

// ActivateEngineVersion lets games move to a version again. Twice is as good as
// once.
//
// Codes: CodeEngineVersionNotFound.
func (c *Client) ActivateEngineVersion(ctx context.Context, version string) (EngineVersionDetail, error) {
	asked := activateEngineVersionCall(version)
	asked.repeatable = true
	return ask[EngineVersionDetail](ctx, c, asked)
}
