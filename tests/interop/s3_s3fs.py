# SPDX-License-Identifier: Apache-2.0
"""s3fs, a file system over our endpoint by FUSE."""
import os
import pathlib
import shutil
import subprocess

import s3_lab
from s3_lab import some_bytes

PEER = s3_lab.peer("s3fs")


class S3fs(s3_lab.EndpointCase):
    def setUp(self):
        super().setUp()
        program = self.need("s3fs", "s3fs")
        unmount = self.need("fusermount", "fuse")
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            self.skipTest("/dev/fuse is not there, or not for us")
        self.mounted = self.folder / "mounted"
        self.mounted.mkdir()
        password = self.folder / "password"
        password.write_text(f"{self.key_id}:{self.secret}")
        password.chmod(0o600)
        log = self.folder / "s3fs.log"
        child = self.enterContext(s3_lab.running(
            [program, "things", self.mounted, "-f", "-o", f"passwd_file={password}", "-o", f"url={self.url}",
             "-o", "use_path_request_style", "-o", "endpoint=us-east-1", "-o", "multipart_size=10"],
            log, env=self.env))
        self.addCleanup(subprocess.run, [unmount, "-u", "-z", str(self.mounted)], check=False)
        try:
            s3_lab.wait_for(lambda: os.path.ismount(self.mounted), "s3fs", child, 20)
        except AssertionError as error:
            said = log.read_text()
            if "mount failed" in said or "Operation not permitted" in said:
                self.skipTest("mounting is not allowed here")
            raise AssertionError(said) from error

    def test_files_up_and_down(self):
        """files written (multipart too), listed, read, renamed, removed"""
        up = self.tree()
        shutil.copytree(up, self.mounted / "tree", copy_function=shutil.copyfile)
        self.same_trees(up, self.mounted / "tree")
        self.assertEqual(sorted(os.listdir(self.mounted / "tree")), sorted(os.listdir(up)))
        os.rename(self.mounted / "tree/big", self.mounted / "moved")
        self.assertEqual((self.mounted / "moved").read_bytes(), (up / "big").read_bytes())
        shutil.rmtree(self.mounted / "tree")
        self.assertEqual(os.listdir(self.mounted), ["moved"])

    def test_a_file_is_changed_in_the_middle(self):
        """a write into the middle of a large file (part copy)"""
        path, other = self.mounted / "file", some_bytes(5000, 2)
        data = bytearray(some_bytes(30 << 20, 1))
        path.write_bytes(data)
        with open(path, "r+b") as file:
            file.seek(12 << 20)
            file.write(other)
        data[12 << 20:(12 << 20) + len(other)] = other
        self.assertEqual(pathlib.Path(path).read_bytes(), data)
