# SPDX-License-Identifier: Apache-2.0
"""Our client against nginx: static files over TLS, as an anonymous bucket."""
import pathlib

import s3_lab
from s3_lab import MIB, some_bytes

PEER = s3_lab.peer("nginx, static files over TLS")
SETTINGS = """worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error;
events {{ }}
http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
server {{ listen 127.0.0.1:{port} ssl; root {folder}/root; {protocols}
ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; }} }}
"""


class Nginx(s3_lab.ServiceCase):
    key_id, secret = "nobody", "asks-for-it"

    def serve(self, protocols=""):
        program = self.need("nginx", "nginx-light")
        self.folder.chmod(0o755)
        (self.folder / "root/things").mkdir(parents=True)
        self.call("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x",
                  "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.folder / "key.pem", "-out",
                  self.folder / "cert.pem")
        port = s3_lab.free_port()
        (self.folder / "conf").write_text(SETTINGS.format(folder=self.folder, port=port, protocols=protocols))
        child = self.enterContext(s3_lab.running([program, "-c", self.folder / "conf"], self.folder / "log"))
        s3_lab.wait_for(lambda: s3_lab.answers(port), "nginx", child)
        self.endpoint = f"https://127.0.0.1:{port}"
        self.more = {"AWS_CA_BUNDLE": str(self.folder / "cert.pem")}

    def file(self, name, size):
        path = self.folder / "root/things" / name
        path.write_bytes(some_bytes(size, size))
        return path

    def there_and_back(self):
        for name, size in (("empty", 0), ("small", 4096), ("with blank", 70_000), ("large", 50 * MIB + 1)):
            path = self.file(name, size)
            self.netstor("cp", f"s3://things/{name}", self.folder / "back", "--no-sign-request", "--force")
            self.assertEqual((self.folder / "back").read_bytes(), path.read_bytes(), name)

    def test_files_come_whole(self):
        """files of all sizes, large ones in parallel ranges"""
        self.serve()
        self.there_and_back()

    def test_tls_1_2(self):
        """the same with TLS 1.2 only"""
        self.serve("ssl_protocols TLSv1.2;")
        self.there_and_back()

    def test_who_is_not_trusted_is_refused(self):
        """a certificate of nobody we know, and TLS too old"""
        self.serve()
        self.file("small", 10)
        self.more = {"AWS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt"}
        self.assertIn("certificate", self.netstor("cat", "s3://things/small", check=False))

    def test_what_is_not_there(self):
        """404 with a body that is no S3 error"""
        self.serve()
        said = self.netstor("cat", "s3://things/none", check=False)
        self.assertIn("404", said)

    def test_signed_requests_are_no_trouble(self):
        """a server that does not know signatures"""
        self.serve()
        path = self.file("small", 4096)
        self.netstor("cp", "s3://things/small", self.folder / "back")
        self.assertEqual(pathlib.Path(self.folder / "back").read_bytes(), path.read_bytes())
