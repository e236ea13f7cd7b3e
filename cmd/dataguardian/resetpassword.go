package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/config"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/process"
	"github.com/dataguardian/dataguardian/internal/standalone"
)

// addUserCommands puts what works on users without the API under `user`, beside what works through it.
func addUserCommands(root *cobra.Command) {
	for _, command := range root.Commands() {
		if command.Name() == "user" {
			command.AddCommand(resetPasswordCommand())
			return
		}
	}
	group := &cobra.Command{Use: "user", Short: "Work on users", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return badUsage(cmd, "name what to do")
	}}
	group.AddCommand(resetPasswordCommand())
	root.AddCommand(group)
}

func resetPasswordCommand() *cobra.Command {
	var revokeTokens bool
	command := &cobra.Command{
		Use:   "reset-password EMAIL",
		Short: "Give a user, the owner too, a new password: for who is locked out",
		Long: "Give a user a new password, past the API: the way back in for an owner who lost theirs. It ends the\n" +
			"user's sessions at once and is written to the audit trail. An account of an OpenID Connect provider becomes\n" +
			"one that signs in by password.\n\n" +
			"The password is asked for on a terminal, else it is the first line of standard input; it is never an\n" +
			"argument. The catalogue is that of DATABASE_URL, or of the data directory of `up`, whether that runs or\n" +
			"not. No master key is needed.",
		Args: exactly(1, "the email of the user"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			password, err := newPassword(cmd)
			if err != nil {
				return err
			}
			url, release, err := standalone.CatalogueURL(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			defer release()
			done, err := process.ResetPassword(cmd.Context(), url, strings.TrimSpace(args[0]), password, revokeTokens)
			if err != nil {
				return err
			}
			note := ""
			if !done.User.IsActive {
				note = " The account is not active: activate it before it can sign in."
			}
			if done.Unlinked {
				note += " The OpenID Connect provider signs nobody in to it any more, unless DATAGUARDIAN_OIDC_LINK_BY_EMAIL links it again."
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "The password of %s is set. Sessions ended: %d. API tokens revoked: %d.%s\n",
				done.User.Email, done.SessionsEnded, done.TokensRevoked, note)
			return err
		},
	}
	command.Flags().BoolVar(&revokeTokens, "revoke-tokens", false, "revoke the user's API tokens too, for an account that somebody else got into")
	config.AddFlags(command.Flags(), config.DataDirFlags)
	return command
}

// newPassword asks for a password, twice on a terminal, or reads it from standard input.
func newPassword(cmd *cobra.Command) (string, error) {
	file, isFile := cmd.InOrStdin().(*os.File)
	if !isFile || !term.IsTerminal(int(file.Fd())) {
		return firstLine(cmd.InOrStdin())
	}
	first, err := ask(cmd, file, "New password: ")
	if err != nil {
		return "", err
	}
	second, err := ask(cmd, file, "Once more: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", failure.New(failure.ConfigInvalid, "read the password", "the two are not the same", "Try again.")
	}
	return first, nil
}

// ask reads a line that is not shown. The prompt goes to standard error, so that output can be piped.
func ask(cmd *cobra.Command, terminal *os.File, prompt string) (string, error) {
	if _, err := fmt.Fprint(cmd.ErrOrStderr(), prompt); err != nil {
		return "", err
	}
	text, err := term.ReadPassword(int(terminal.Fd()))
	_, _ = fmt.Fprintln(cmd.ErrOrStderr()) // the new line that was not shown
	return string(text), failure.Wrap(failure.ConfigInvalid, "read the password", err, "")
}

func firstLine(in io.Reader) (string, error) {
	// A little more than the longest password, so that one too long is refused instead of cut.
	line, err := bufio.NewReader(io.LimitReader(in, auth.MaxPasswordLength+3)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", failure.Wrap(failure.ConfigInvalid, "read the password", err, "")
	}
	if line == "" {
		return "", failure.New(failure.ConfigInvalid, "read the password", "standard input is empty", "Write the password to it, on one line.")
	}
	return strings.TrimRight(line, "\r\n"), nil
}
