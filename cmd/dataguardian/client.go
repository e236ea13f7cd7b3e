package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dataguardian/dataguardian/internal/cli"
	"github.com/dataguardian/dataguardian/internal/config"
)

// clientCommands are the commands that talk to a server; package cli has them.
func clientCommands() []*cobra.Command {
	return cli.Commands(cli.Options{
		LookupEnv: config.Lookup,
		AddFlags:  func(set *pflag.FlagSet) { config.AddFlags(set, config.ClientFlags) },
		Settings: func(flags *pflag.FlagSet) (cli.Settings, error) {
			c, err := config.LoadClient(flags)
			return cli.Settings{URL: c.URL, Token: c.Token.Reveal(), CAFile: c.CAFile, CredentialsFile: c.CredentialsFile}, err
		},
	})
}
