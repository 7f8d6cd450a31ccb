package api

import (
	"context"
	"slices"
	"time"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/ports"
)

// namedUsers bounds the games that an answer about a version names: enough to
// know where to look; all of them are a list of runtimes.
const namedUsers = 100

// ListEngineVersions answers all registered versions, lowest first.
func (server *Server) ListEngineVersions(
	ctx context.Context, request contract.ListEngineVersionsRequestObject,
) (contract.ListEngineVersionsResponseObject, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	versions, err := server.versions.List(ctx)
	if err != nil {
		return nil, storeFault("list engine versions", err)
	}
	if wanted := engineversion.Status(request.Params.Status); wanted != "" {
		versions = slices.DeleteFunc(versions, func(version engineversion.EngineVersion) bool { return version.Status != wanted })
	}
	return contract.ListEngineVersions200JSONResponse{Body: contract.EngineVersionList{EngineVersions: each(versions, versionOf)}}, nil
}

// GetEngineVersion answers a version and who runs it.
func (server *Server) GetEngineVersion(
	ctx context.Context, request contract.GetEngineVersionRequestObject,
) (contract.GetEngineVersionResponseObject, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	version, err := server.versions.Get(ctx, request.Version)
	if err != nil {
		return nil, versionFault(request.Version, "read an engine version", err)
	}
	read, err := server.withUsers(ctx, version)
	return contract.GetEngineVersion200JSONResponse{EngineVersionReadJSONResponse: read}, err
}

// withUsers adds who runs the version, as far as the caller may see them.
func (server *Server) withUsers(
	ctx context.Context, version engineversion.EngineVersion,
) (contract.EngineVersionReadJSONResponse, error) {
	users, err := server.versions.Users(ctx, ports.VersionUsersInput{
		Version: version.Version, GamePrefixes: callerOf(ctx).Games, Limit: namedUsers,
	})
	if err != nil {
		return contract.EngineVersionReadJSONResponse{}, storeFault("read who runs an engine version", err)
	}
	return contract.EngineVersionReadJSONResponse{Body: versionDetail(version, users)}, nil
}

// PutEngineVersion registers a version, or gives it another image while nobody
// runs it.
func (server *Server) PutEngineVersion(
	ctx context.Context, request contract.PutEngineVersionRequestObject,
) (contract.PutEngineVersionResponseObject, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if problem := forEveryGame(ctx); problem != nil {
		return nil, problem
	}
	if err := engineversion.CheckImageRef(request.Body.ImageRef); err != nil {
		return nil, mend("image_ref", err.Error())
	}
	version, created, err := server.versions.PutImage(ctx, ports.PutImageInput{
		Version: request.Version, ImageRef: request.Body.ImageRef, Now: time.Now().UTC(),
	})
	if err != nil {
		return nil, versionFault(request.Version, "put an engine version", err)
	}
	read, err := server.withUsers(ctx, version)
	if created {
		return contract.PutEngineVersion201JSONResponse{Body: read.Body}, changed(err)
	}
	return contract.PutEngineVersion200JSONResponse{EngineVersionReadJSONResponse: read}, changed(err)
}

// DeprecateEngineVersion keeps games from moving to the version.
func (server *Server) DeprecateEngineVersion(
	ctx context.Context, request contract.DeprecateEngineVersionRequestObject,
) (contract.DeprecateEngineVersionResponseObject, error) {
	read, err := server.setStatus(ctx, request.Version, engineversion.StatusDeprecated)
	return contract.DeprecateEngineVersion200JSONResponse{EngineVersionReadJSONResponse: read}, err
}

// ActivateEngineVersion lets games move to the version again.
func (server *Server) ActivateEngineVersion(
	ctx context.Context, request contract.ActivateEngineVersionRequestObject,
) (contract.ActivateEngineVersionResponseObject, error) {
	read, err := server.setStatus(ctx, request.Version, engineversion.StatusActive)
	return contract.ActivateEngineVersion200JSONResponse{EngineVersionReadJSONResponse: read}, err
}

func (server *Server) setStatus(
	ctx context.Context, number string, status engineversion.Status,
) (contract.EngineVersionReadJSONResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if problem := forEveryGame(ctx); problem != nil {
		return contract.EngineVersionReadJSONResponse{}, problem
	}
	version, err := server.versions.SetStatus(ctx, ports.SetVersionStatusInput{
		Version: number, Status: status, Now: time.Now().UTC(),
	})
	if err != nil {
		return contract.EngineVersionReadJSONResponse{}, versionFault(number, "change an engine version", err)
	}
	read, err := server.withUsers(ctx, version)
	return read, changed(err)
}

// forEveryGame refuses a caller who is limited to some games: the registry is
// every game's.
func forEveryGame(ctx context.Context) *problem {
	if callerOf(ctx).Limited() {
		return refusal(codeForbidden, "the caller is limited to some games, and the registry of versions is for all of them")
	}
	return nil
}
