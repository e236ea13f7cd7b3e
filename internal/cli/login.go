package cli

import (
	"context"
	"errors"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/client"
)

// signInFlags are how a person says who they are.
type signInFlags struct{ email, passwordFrom string }

func (f *signInFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.email, "email", "", "your email; asked for when it is left out")
	cmd.Flags().StringVar(&f.passwordFrom, "password-from", "", "file that holds the password; - is standard input; asked for when it is left out")
}

// read gives email and password, asking for what is not given.
func (f *signInFlags) read(cmd *cobra.Command) (email, password string, err error) {
	if email = f.email; email == "" {
		if !onTerminal(cmd) {
			return "", "", BadUsage(cmd, "give --email")
		}
		if email, err = ask(cmd, "Email: ", false); err != nil {
			return "", "", err
		}
	}
	switch {
	case f.passwordFrom != "":
		text, err := readInput(cmd, f.passwordFrom)
		return email, trimLine(string(text)), err
	case !onTerminal(cmd):
		return "", "", BadUsage(cmd, "give --password-from FILE, or --password-from - to read the password from standard input")
	}
	password, err = ask(cmd, "Password: ", true)
	return email, password, err
}

func (a *app) loginCommand() *cobra.Command {
	var flags signInFlags
	command := &cobra.Command{
		Use:   "login",
		Short: "Sign in to a DataGuardian server, and keep the session",
		Long: "Sign in to a DataGuardian server, and keep the session in a file that only you can read. The server becomes the one that\n" +
			"the other commands talk to when --url and DATAGUARDIAN_URL are not given.",
		Args: exactly(),
	}
	flags.add(command)
	var browser bool
	command.Flags().BoolVar(&browser, "oidc", false, "sign in with a browser, through the server's OpenID Connect provider")
	command.MarkFlagsMutuallyExclusive("oidc", "email")
	command.MarkFlagsMutuallyExclusive("oidc", "password-from")
	command.RunE = a.run(func(ctx context.Context, s *session, _ []string) error {
		if browser {
			s.SetToken("")
			opened, err := s.signInByBrowser(ctx)
			if err != nil {
				return err
			}
			return s.keep(opened)
		}
		email, password, err := s.readSignIn(&flags)
		if err != nil {
			return err
		}
		s.SetToken("")
		opened, err := s.Login(ctx, email, password)
		if client.Status(err) == http.StatusUnauthorized {
			return Error{errors.New("the email or the password is wrong"), exitForbidden}
		}
		if err != nil {
			return err
		}
		return s.keep(opened)
	})
	return command
}

func (a *app) setupCommand() *cobra.Command {
	var flags signInFlags
	var name string
	command := &cobra.Command{Use: "setup", Short: "Create the owner of a new installation, once, and sign in", Args: exactly()}
	flags.add(command)
	command.Flags().StringVar(&name, "name", "", "the owner's name")
	command.RunE = a.run(func(ctx context.Context, s *session, _ []string) error {
		email, password, err := s.readSignIn(&flags)
		if err != nil {
			return err
		}
		s.SetToken("")
		opened, err := s.Setup(ctx, email, name, password)
		if err != nil {
			return err
		}
		return s.keep(opened)
	})
	return command
}

func (s *session) readSignIn(flags *signInFlags) (email, password string, err error) {
	if inTheClear(s.url) {
		s.cmd.PrintErrf("Warning: %s is not https; the password can be read on its way.\n", s.url)
	}
	return flags.read(s.cmd)
}

// keep writes the session down and says who signed in.
func (s *session) keep(opened client.Session) error {
	kept, err := readCredentials(s.settings.CredentialsFile)
	if err != nil {
		return err
	}
	kept.Current = s.url
	kept.Servers[s.url] = credential{Email: opened.User.Email, Token: opened.Token, ExpiresAt: opened.ExpiresAt}
	if err := writeCredentials(s.settings.CredentialsFile, kept); err != nil {
		return err
	}
	s.cmd.PrintErrf("Signed in to %s as %s; the session is kept in %s.\n", s.url, clean(opened.User.Email), s.settings.CredentialsFile)
	return nil
}

func (a *app) logoutCommand() *cobra.Command {
	command := &cobra.Command{Use: "logout", Short: "End the session, and forget it", Args: exactly()}
	command.RunE = a.run(func(ctx context.Context, s *session, _ []string) error {
		err := s.Logout(ctx)
		if client.Status(err) == http.StatusUnauthorized {
			err = nil // it has ended already
		}
		if err != nil {
			return err
		}
		kept, err := readCredentials(s.settings.CredentialsFile)
		if err != nil {
			return err
		}
		if _, known := kept.Servers[s.url]; !known {
			return nil
		}
		delete(kept.Servers, s.url)
		return writeCredentials(s.settings.CredentialsFile, kept)
	})
	return command
}

func (a *app) whoamiCommand() *cobra.Command {
	command := &cobra.Command{Use: "whoami", Short: "Show who is signed in, and what they may do", Args: exactly()}
	command.RunE = a.run(func(ctx context.Context, s *session, _ []string) error {
		answer, err := s.Do(ctx, client.Call{Method: http.MethodGet, Path: "/api/auth/me"})
		if err != nil {
			return err
		}
		return s.printer.one(answer)
	})
	return command
}
