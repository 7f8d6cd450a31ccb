// Package contract is generated from the OpenAPI document of package api: its
// schemas as types, and its operations as an interface for the server.
package contract

//go:generate go tool -modfile=../../tools/go.mod oapi-codegen -config generate.yaml ../openapi.yaml
