# SPDX-License-Identifier: MIT
"""S3 over https, as AWS is: whom fffa trusts, and what it says of whom it does not."""
import subprocess

from case import MIB, S3Case, client
from run import wait_until
from servers import Minio, Tunnel


class Tls(S3Case):
    """The store's certificate is for localhost and the one bucket in its name, by an authority that the system does not know."""

    @classmethod
    def start_store(cls, folder):
        cls.authority = folder / "authority.crt"
        certificates = folder / "certificates"
        certificates.mkdir()

        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], check=True, capture_output=True)

        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")
        openssl("req", "-x509", *key, "-keyout", folder / "authority.key", "-out", cls.authority, "-subj", "/CN=Authority of the test", "-days", "2")
        openssl("req", "-x509", *key, "-keyout", certificates / "private.key", "-out", certificates / "public.crt", "-subj", "/CN=store", "-days", "2",
                "-CA", cls.authority, "-CAkey", folder / "authority.key", "-addext", "basicConstraints=critical,CA:FALSE",
                "-addext", "subjectAltName=DNS:localhost,DNS:logs-test-bucket-in-the-hosts-name.localhost")
        store = Minio(folder, certificates)
        store.start()
        return store, client(store.url, verify=cls.authority)

    def trusting(self, **more):
        return {"AWS_CA_BUNDLE": str(self.authority), **more}

    def refused(self, reason, advice, **options):
        """Nothing is sent, and fffa says why and what to do; then what waits goes by the right way."""
        path, content = self.stage(1000)
        with self.run_fffa(**options) as run:
            wait_until(lambda: run.degraded() != [], "health says so")
            said = str(run.degraded())
            self.assertIn(reason, said)
            self.assertIn(advice, said)
            run.kill()
        self.assertEqual(self.objects(), {})
        with self.run_fffa(environment=self.trusting()) as run:
            wait_until(lambda: not run.staged(), "uploaded")
            self.assertEqual(run.end(), 0)
        self.assertEqual(list(self.objects().values()), [content])

    def test_authority_is_not_known(self):
        self.refused("unable to get local issuer certificate", "AWS_CA_BUNDLE")

    def test_certificate_is_for_another_name(self):
        self.refused("127.0.0.1", "`endpoint`", endpoint=self.minio.url.replace("localhost", "127.0.0.1"), environment=self.trusting())

    def test_no_such_bundle(self):
        self.refused("/nonexistent.crt", "AWS_CA_BUNDLE", environment={"AWS_CA_BUNDLE": "/nonexistent.crt"})

    def test_bucket_in_the_hosts_name(self):
        path, content = self.stage(20 * MIB)
        with self.run_fffa(environment=self.trusting(), more="addressing: virtual") as run:
            wait_until(lambda: not run.staged(), "uploaded in parts")
            self.assertEqual(run.end(), 0)
        self.assertEqual(self.objects(), {str(path.relative_to(self.folder / "staging")): content})

    def test_through_a_proxy(self):
        tunnel = Tunnel()
        self.addCleanup(tunnel.stop)
        for number, variables in enumerate(({"HTTPS_PROXY": tunnel.url}, {"HTTPS_PROXY": tunnel.url, "NO_PROXY": "localhost"})):
            with self.run_fffa(environment=self.trusting(**variables)) as run:
                run.send(range(100 * number, 100 * number + 100), 1)
                self.assertEqual(run.end(), 0, run.said())
            self.assertEqual(run.staged(), [])
            self.assertEqual(tunnel.asked, [f"localhost:{self.minio.port}"], "one connection, of the first run alone")
        self.assertEqual(self.numbers(), list(range(200)))
