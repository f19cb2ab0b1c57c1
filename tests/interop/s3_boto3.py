# SPDX-License-Identifier: Apache-2.0
"""Debian's boto3 against our endpoint."""
import hashlib
import sys
import urllib.error
import urllib.request

import s3_lab
from s3_lab import MIB, some_bytes

try:
    import boto3
    from botocore.config import Config
except ImportError:
    boto3 = None

PEER = s3_lab.peer("boto3")


class Boto3(s3_lab.EndpointCase):
    def setUp(self):
        if boto3 is None:
            self.skipTest(f"{sys.executable} has no boto3 (Debian: python3-boto3, for /usr/bin/python3)")
        super().setUp()
        self.s3 = boto3.client("s3", endpoint_url=self.url, region_name="us-east-1",
                               aws_access_key_id=self.key_id,
                               aws_secret_access_key=self.secret,
                               config=Config(signature_version="s3v4", s3={"addressing_style": "path"},
                                             retries={"max_attempts": 0}))
        self.addCleanup(self.s3.close)

    def test_objects(self):
        """objects, ETags, metadata"""
        for size in (0, 1, 16384, 16385, MIB + 1):
            body = some_bytes(size, size)
            put = self.s3.put_object(Bucket="things", Key="o", Body=body, Metadata={"who": "me"})
            self.assertEqual(put["ETag"].strip('"'), hashlib.md5(body).hexdigest())
            got = self.s3.get_object(Bucket="things", Key="o")
            self.assertEqual(got["Body"].read(), body)
            self.assertEqual(got["Metadata"], {"who": "me"})

    def test_checksums(self):
        """checksums, sent and asked for"""
        for algorithm in ("CRC32", "SHA1", "SHA256"):
            self.s3.put_object(Bucket="things", Key="sum", Body=b"bytes", ChecksumAlgorithm=algorithm)
            got = self.s3.get_object(Bucket="things", Key="sum", ChecksumMode="ENABLED")
            self.assertEqual(got["Body"].read(), b"bytes")
            self.assertIn("Checksum" + algorithm, got)

    def test_multipart_in_parallel(self):
        """multipart, in parallel"""
        source, back = self.folder / "source", self.folder / "back"
        source.write_bytes(some_bytes(33 * MIB, 7))
        self.s3.upload_file(str(source), "things", "multi")
        self.assertTrue(self.s3.head_object(Bucket="things", Key="multi")["ETag"].endswith('-5"'))
        self.s3.download_file("things", "multi", str(back))
        self.assertEqual(source.read_bytes(), back.read_bytes())

    def test_pages_and_deletes(self):
        """listing page by page, delete many"""
        keys = [f"page/{i:03}" for i in range(25)] + ["page/<&>\u00fc "]
        for key in keys:
            self.s3.put_object(Bucket="things", Key=key, Body=b"")
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket="things", Prefix="page/", PaginationConfig={"PageSize": 7})
        listed = [each["Key"] for page in pages for each in page["Contents"]]
        self.assertEqual(listed, sorted(keys))
        gone = self.s3.delete_objects(Bucket="things", Delete={"Objects": [{"Key": key} for key in keys]})
        self.assertEqual(len(gone["Deleted"]), len(keys))
        self.assertEqual(self.s3.list_objects_v2(Bucket="things", Prefix="page/")["KeyCount"], 0)

    def test_versions_and_tags(self):
        """versions, delete markers, tags"""
        self.s3.create_bucket(Bucket="versions")
        self.s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
        first = self.s3.put_object(Bucket="versions", Key="v", Body=b"1", Tagging="a=b")["VersionId"]
        self.s3.put_object(Bucket="versions", Key="v", Body=b"2")
        self.s3.delete_object(Bucket="versions", Key="v")
        with self.assertRaises(self.s3.exceptions.NoSuchKey):
            self.s3.get_object(Bucket="versions", Key="v")
        old = self.s3.get_object(Bucket="versions", Key="v", VersionId=first)
        self.assertEqual(old["Body"].read(), b"1")
        tags = self.s3.get_object_tagging(Bucket="versions", Key="v", VersionId=first)["TagSet"]
        self.assertEqual(tags, [{"Key": "a", "Value": "b"}])
        listed = self.s3.list_object_versions(Bucket="versions")
        self.assertEqual((len(listed["Versions"]), len(listed["DeleteMarkers"])), (2, 1))

    def test_presigned(self):
        """presigned GET and PUT"""
        def url(verb, seconds=60):
            return self.s3.generate_presigned_url(verb, Params={"Bucket": "things", "Key": "signed url"},
                                                  ExpiresIn=seconds)
        put = urllib.request.Request(url("put_object"), data=b"there", method="PUT")
        put.add_header("Content-Type", "")
        self.assertEqual(urllib.request.urlopen(put).status, 200)
        get = url("get_object")
        self.assertEqual(urllib.request.urlopen(get).read(), b"there")
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(get.replace("signed%20url", "other"))
        self.assertEqual(refused.exception.code, 403)
        refused.exception.close()
