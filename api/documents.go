package api

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
)

const (
	documentPath = "/openapi.yaml"
	docsPath     = "/docs"
)

// layDocuments serves the contract, as it is and as pages to read. Both are open
// to everybody: they are the same in every deployment and tell nothing of this
// one, and a browser that opens a page has no token to show. What the pages try
// out takes a token like every other request.
func (server *Server) layDocuments(engine *gin.Engine) {
	engine.GET(documentPath, func(c *gin.Context) { c.Data(http.StatusOK, "application/yaml", Document) })
	// Everything the pages load is in the program.
	pages := v5emb.NewHandlerWithConfig(swgui.Config{
		Title: server.contract.document.Info.Title, SwaggerJSON: documentPath, BasePath: docsPath + "/",
		SettingsUI: map[string]string{"tryItOutEnabled": "false", "persistAuthorization": "false"},
	})
	serve := func(c *gin.Context) {
		c.Header("Content-Security-Policy", pagesPolicy)
		c.Header("X-Frame-Options", "DENY")
		pages.ServeHTTP(c.Writer, c.Request)
	}
	engine.GET(docsPath, func(c *gin.Context) { c.Redirect(http.StatusMovedPermanently, docsPath+"/") })
	engine.GET(docsPath+"/*page", serve)
}

// pagesPolicy lets the pages load from here and nowhere else. They have a script
// and styles of their own in the page.
const pagesPolicy = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
