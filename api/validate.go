package api

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/gin-gonic/gin"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/patch"
)

// fieldBody names the body as a whole in a problem.
const fieldBody = "body"

// maxFieldName bounds the name of a field that a client made up, in bytes.
const maxFieldName = 64

// validate checks the request against the document before anything of it is
// decoded: the generated code behind it then finds only what the contract
// allows.
func (server *Server) validate(c *gin.Context) {
	op, known := server.contract.find(c.Request.Method, c.FullPath())
	if !known {
		return
	}
	if problem := checkQuery(c.Request.URL, op); problem != nil {
		server.refuse(c, *problem)
		return
	}
	if problem := onceEach(c.Request.Header, op); problem != nil {
		server.refuse(c, *problem)
		return
	}
	input := server.contract.input(c, op)
	// A body is not waited for where the path is wrong already.
	if problem := checkParameters(c, input, op); problem != nil {
		server.refuse(c, *problem)
		return
	}
	if op.body() == nil {
		return
	}
	if problem := takeBody(c, op); problem != nil {
		server.refuse(c, *problem)
		return
	}
	if problem := checkBody(c, input, op); problem != nil {
		server.refuse(c, *problem)
	}
}

// checkQuery refuses keys that the operation does not have, and repeated ones:
// a mistyped filter must not silently list everything. A number is digits.
func checkQuery(target *url.URL, op endpoint) *problem {
	values, err := url.ParseQuery(target.RawQuery)
	if err != nil {
		return mend("query", "cannot be read, want key=value pairs with & between them")
	}
	allowed, want := op.queryKeys(), "want none here"
	if len(allowed) > 0 {
		want = "want only " + strings.Join(allowed, ", ")
	}
	for key, given := range values {
		switch {
		case !slices.Contains(allowed, key):
			return mend(patch.Truncate(key, maxFieldName), "is an unknown query key, "+want)
		case len(given) > 1:
			return mend(key, "is in the query more than once, want it once")
		case !op.isPlain(key, given[0]):
			return mend(key, "want "+wanted(op.parameters.GetByInAndName(openapi3.ParameterInQuery, key).Schema.Value))
		}
	}
	return nil
}

// digits are what a number in a query is made of.
const digits = "0123456789"

// isPlain reports whether a number or a truth value in the query is written as
// the contract means it: whoever reads them more generously would take a sign,
// or a T.
func (op endpoint) isPlain(key, value string) bool {
	parameter := op.parameters.GetByInAndName(openapi3.ParameterInQuery, key)
	switch {
	case parameter.Schema.Value.Type.Is(openapi3.TypeInteger):
		return strings.Trim(value, digits) == ""
	case parameter.Schema.Value.Type.Is(openapi3.TypeBoolean):
		return value == "true" || value == "false"
	}
	return true
}

// onceEach refuses a header of the operation that is there more than once.
// Prefer may be, as RFC 7240 says; its lines are made one.
func onceEach(header http.Header, op endpoint) *problem {
	for _, parameter := range op.parameters {
		name := parameter.Value.Name
		if parameter.Value.In != openapi3.ParameterInHeader || len(header.Values(name)) < 2 {
			continue
		}
		if name != headerPrefer {
			return mend(name, "is there more than once, want it once")
		}
		header.Set(name, strings.Join(header.Values(name), ", "))
	}
	return nil
}

// takeBody reads the body and looks for what a schema cannot see. The bytes are
// put back for who comes next.
func takeBody(c *gin.Context, op endpoint) *problem {
	if !op.RequestBody.Value.Required && empty(c.Request) {
		return nil
	}
	encoded, fault := readBody(c)
	if fault != nil {
		return fault
	}
	if mistakes := checkJSON(encoded); len(mistakes) > 0 {
		return invalid(mistakes...)
	}
	c.Request.Body = io.NopCloser(bytes.NewReader(encoded))
	c.Request.ContentLength = int64(len(encoded))
	return nil
}

// empty reports whether the request has no body. One whose length is not
// announced is looked into: clients and proxies send nothing in chunks, too.
func empty(request *http.Request) bool {
	if request.ContentLength >= 0 {
		return request.ContentLength == 0
	}
	reader := bufio.NewReaderSize(request.Body, MaxBody)
	request.Body = struct {
		io.Reader
		io.Closer
	}{reader, request.Body}
	_, err := reader.Peek(1)
	return errors.Is(err, io.EOF)
}

// input is the request as the document's judge takes it.
func (loaded *contractDocument) input(c *gin.Context, op endpoint) *openapi3filter.RequestValidationInput {
	parameters := map[string]string{}
	for _, parameter := range c.Params {
		parameters[parameter.Key] = parameter.Value
	}
	return &openapi3filter.RequestValidationInput{
		Request:    c.Request,
		PathParams: parameters,
		Route: &routers.Route{
			Spec: loaded.document, Path: op.path, Method: op.method, PathItem: op.item, Operation: op.Operation,
		},
		Options: &openapi3filter.Options{
			MultiError: true,
			// Defaults are the handlers' business; the body stays as it came.
			SkipSettingDefaults: true,
			// The generated code binds what was judged here, letter by letter,
			// and does not decode a second time.
			KeepValidatedValue:      true,
			SchemaValidationOptions: []openapi3.SchemaValidationOption{instants},
		},
	}
}

// instants has times judged by reading them.
var instants = openapi3.WithStringFormatValidator("date-time", openapi3.NewCallbackValidator(checkInstant))

var instantRegexp = regexp.MustCompile(openapi3.FormatOfStringDateTime)

var errInstant = errors.New("not an instant of the calendar")

// checkInstant refuses what only looks like an RFC 3339 time (the 30th of
// February, a 61st second), the zero time, which stands for none, and instants
// that are not in a year of four digits in UTC: they could be stored and never
// be told again.
func checkInstant(text string) error {
	instant, err := time.Parse(time.RFC3339, text)
	year := instant.UTC().Year()
	if err != nil || !instantRegexp.MatchString(text) || instant.IsZero() || year < 1 || year > 9999 {
		return errInstant
	}
	return nil
}

// checkParameters has the document judge path, query and headers. They are
// judged one by one, because a request is judged as a whole by reading its body
// first.
func checkParameters(c *gin.Context, input *openapi3filter.RequestValidationInput, op endpoint) *problem {
	var mistakes []contract.FieldError
	for _, parameter := range op.parameters {
		collect(openapi3filter.ValidateParameter(c.Request.Context(), input, parameter.Value), op, &mistakes)
	}
	return invalidAll(mistakes)
}

// checkBody has the document judge the body.
func checkBody(c *gin.Context, input *openapi3filter.RequestValidationInput, op endpoint) *problem {
	var mistakes []contract.FieldError
	collect(openapi3filter.ValidateRequestBody(c.Request.Context(), input, op.RequestBody.Value), op, &mistakes)
	if len(mistakes) == 0 {
		mistakes = tooLong(c, op)
	}
	return invalidAll(mistakes)
}

// invalidAll is the problem of mistakes, by field; nil when there are none.
func invalidAll(mistakes []contract.FieldError) *problem {
	if len(mistakes) == 0 {
		return nil
	}
	slices.SortStableFunc(mistakes, func(a, b contract.FieldError) int { return strings.Compare(a.Field, b.Field) })
	// What is wrong in two ways is told once, when the mend is the same.
	mistakes = slices.Compact(mistakes)
	return invalid(mistakes[:min(len(mistakes), maxFieldErrors)]...)
}

// collect takes the errors of the document's judge apart.
func collect(err error, op endpoint, mistakes *[]contract.FieldError) {
	if err == nil {
		return
	}
	var several openapi3.MultiError
	if errors.As(err, &several) && !isRequestError(err) {
		for _, each := range several {
			collect(each, op, mistakes)
		}
		return
	}
	var request *openapi3filter.RequestError
	if !errors.As(err, &request) {
		*mistakes = append(*mistakes, contract.FieldError{Field: fieldBody, Detail: "does not fit the contract"})
		return
	}
	if request.Parameter != nil {
		schema := request.Parameter.Schema.Value
		*mistakes = append(*mistakes, contract.FieldError{
			Field: request.Parameter.Name, Detail: "want " + wanted(schema),
		})
		return
	}
	collectBody(request.Err, op.body(), mistakes)
}

func isRequestError(err error) bool {
	request, ok := err.(*openapi3filter.RequestError) //nolint:errorlint // the outermost error is meant
	return ok && request != nil
}

// collectBody tells what is wrong with the members of a body.
func collectBody(err error, body *openapi3.Schema, mistakes *[]contract.FieldError) {
	if several, ok := errors.AsType[openapi3.MultiError](err); ok {
		for _, each := range several {
			collectBody(each, body, mistakes)
		}
		return
	}
	fault, ok := errors.AsType[*openapi3.SchemaError](err)
	if !ok || body == nil {
		*mistakes = append(*mistakes, bodyFault("does not fit the contract")...)
		return
	}
	*mistakes = append(*mistakes, memberFault(fault, body))
}

// unknownProperty is how the judge begins the reason of a property that the
// schema does not have; the name follows in quotes.
const unknownProperty = "property "

// memberFault tells one mistake in a member of the body.
func memberFault(fault *openapi3.SchemaError, body *openapi3.Schema) contract.FieldError {
	pointer := fault.JSONPointer()
	if len(pointer) == 0 {
		return rootFault(fault, body)
	}
	name := pointer[0]
	member, known := body.Properties[name]
	switch {
	case !known:
		return contract.FieldError{Field: patch.Truncate(name, maxFieldName), Detail: unknownMember(name, body)}
	case fault.SchemaField == "required":
		return contract.FieldError{Field: name, Detail: "is required, want " + wanted(member.Value)}
	case fault.SchemaField == "type" || fault.SchemaField == "nullable":
		return contract.FieldError{Field: name, Detail: "is " + kind(fault.Value) + ", want " + wanted(member.Value)}
	}
	return contract.FieldError{Field: name, Detail: "want " + wanted(member.Value)}
}

// rootFault tells a mistake that the judge puts down to the object as a whole.
func rootFault(fault *openapi3.SchemaError, body *openapi3.Schema) contract.FieldError {
	if rest, ok := strings.CutPrefix(fault.Reason, unknownProperty); ok {
		if name, ok := quoted(rest); ok {
			return contract.FieldError{Field: patch.Truncate(name, maxFieldName), Detail: unknownMember(name, body)}
		}
	}
	return bodyFault("does not fit the contract")[0]
}

// quoted returns the Go string literal that text begins with.
func quoted(text string) (string, bool) {
	literal, err := strconv.QuotedPrefix(text)
	if err != nil {
		return "", false
	}
	name, err := strconv.Unquote(literal)
	return name, err == nil
}

func unknownMember(name string, body *openapi3.Schema) string {
	for known := range body.Properties {
		if strings.EqualFold(known, name) {
			return fmt.Sprintf("is unknown, want %q: keys are case-sensitive", known)
		}
	}
	return "is unknown, want only " + strings.Join(sortedKeys(body), ", ")
}

// tooLong holds texts to their bounds in bytes, which a schema can only give in
// characters: what is stored and travels is bytes.
func tooLong(c *gin.Context, op endpoint) []contract.FieldError {
	held, ok := c.Request.Body.(interface{ ValidatedValue() any })
	if !ok || op.body() == nil {
		return nil
	}
	members, _ := held.ValidatedValue().(map[string]any)
	var mistakes []contract.FieldError
	for name, value := range members {
		text, isText := value.(string)
		limit, bounded := maxBytes(op.body().Properties[name])
		if isText && bounded && len(text) > limit {
			mistakes = append(mistakes, contract.FieldError{
				Field: name, Detail: fmt.Sprintf("is %d bytes long, at most %d are allowed", len(text), limit),
			})
		}
	}
	return mistakes
}

// maxBytes returns the bound of a text in bytes.
func maxBytes(schema *openapi3.SchemaRef) (int, bool) {
	if schema == nil {
		return 0, false
	}
	limit, ok := schema.Value.Extensions["x-max-bytes"].(float64)
	return int(limit), ok
}
