// Gamemaster patches running game engines through durable workflows.
package main

import (
	"os"

	"galaxy/gamemaster/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
