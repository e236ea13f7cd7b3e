package domain

import "strings"

// SSHTunnel is a bastion host through which a database server is reached. Password, PrivateKey and
// Passphrase are secrets.
type SSHTunnel struct {
	Host       string `json:"host" doc:"Host name or address of the bastion host" maxLength:"255"`
	Port       int    `json:"port,omitempty" doc:"Default 22" minimum:"0" maximum:"65535"`
	Username   string `json:"username" maxLength:"255"`
	Password   string `json:"password,omitempty" doc:"Write-only" maxLength:"1024"`
	PrivateKey string `json:"private_key,omitempty" doc:"In OpenSSH or PEM format, instead of a password; write-only" maxLength:"65536"`
	Passphrase string `json:"passphrase,omitempty" doc:"Of private_key; write-only" maxLength:"1024"`
	HostKey    string `json:"host_key" doc:"The bastion's public key, as a line of known_hosts without the host (ssh-ed25519 AAAA…) or its fingerprint SHA256:…; ssh-keyscan prints it" maxLength:"16384"`
}

func (t *SSHTunnel) normalize() {
	for _, field := range []*string{&t.Host, &t.Username, &t.HostKey} {
		*field = strings.TrimSpace(*field)
	}
	setDefault(&t.Port, 22)
}

func (t SSHTunnel) validate() Invalid {
	var v Invalid
	if t.Port < 1 || t.Port > 65535 {
		v.Add("port", "is %d; give a port from 1 to 65535", t.Port)
	}
	required(&v, "host_key", t.HostKey)
	checkSSHLogin(&v, sshLogin{t.Host, t.Username, t.Password, t.PrivateKey, t.Passphrase, t.HostKey})
	for name, field := range jsonFields(t) {
		if name != "private_key" && name != "port" && strings.ContainsAny(field.String(), "\x00\n\r") {
			v.Add(name, "must not contain a NUL or a line break")
		}
	}
	return v
}

// sshLogin is what every connection over SSH is given.
type sshLogin struct{ host, username, password, privateKey, passphrase, hostKey string }

func checkSSHLogin(v *Invalid, l sshLogin) {
	required(v, "host", l.host)
	required(v, "username", l.username)
	if (l.password == "") == (l.privateKey == "") {
		v.Add("password", "give either a password or a private_key")
	}
	if l.passphrase != "" && l.privateKey == "" {
		v.Add("passphrase", "belongs to a private_key, and there is none")
	}
	if l.privateKey != "" && !strings.Contains(l.privateKey, "-----BEGIN ") {
		v.Add("private_key", "is not a private key; paste the file that begins with -----BEGIN OPENSSH PRIVATE KEY-----")
	}
	if l.hostKey != "" && !hostKey.MatchString(l.hostKey) {
		v.Add("host_key", "is neither a public key (ssh-ed25519 AAAA…) nor a fingerprint (SHA256:…); ssh-keyscan prints the key")
	}
}
