// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/tree.h"

#include "tools/netstor/failure.h"

#include <nlohmann/json.hpp>

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace netstor::tool {
namespace {

WallTime time_of(const timespec& time) {
  return WallTime(std::chrono::duration_cast<WallTime::duration>(std::chrono::seconds(time.tv_sec) +
                                                                 std::chrono::nanoseconds(time.tv_nsec)));
}

/// Where the walk is: links can lead back to a folder that it is in.
struct Step {
  dev_t device;
  ino_t inode;
};

class Walk {
 public:
  Walk(std::string root, const Match& match, Tree& tree)
      : root_(std::move(root)), match_(match), tree_(tree) {}

  /// `name`: empty, or a folder below the root, with its slash.
  Result<void> folder(const std::string& name) {
    const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir((root_ + name).c_str()), &::closedir);
    if (!open) return Error::system(errno, root_ + name);
    std::vector<std::string> below;
    for (errno = 0; const dirent* each = ::readdir(open.get()); errno = 0) {
      const std::string_view part = each->d_name;
      if (part != "." && part != "..") below.emplace_back(part);
    }
    if (errno != 0) return Error::system(errno, root_ + name);
    for (const std::string& part : below) look_at(name + part);
    return ok();
  }

 private:
  void leave_out(const std::string& name, const std::string& why) {
    tree_.left_out.push_back(root_ + name + ": " + why);
  }

  void look_at(const std::string& name) {
    struct stat facts {};
    if (::stat((root_ + name).c_str(), &facts) != 0) {
      if (match_(name)) leave_out(name, std::strerror(errno));
    } else if (S_ISREG(facts.st_mode)) {
      if (match_(name)) {
        tree_.entries.push_back({name, static_cast<std::uint64_t>(facts.st_size), time_of(facts.st_mtim)});
      }
    } else if (!S_ISDIR(facts.st_mode)) {
      if (match_(name)) leave_out(name, "neither a file nor a folder");
    } else {
      const Step step{.device = facts.st_dev, .inode = facts.st_ino};
      const bool inside = std::any_of(steps_.begin(), steps_.end(), [&](const Step& one) {
        return one.device == step.device && one.inode == step.inode;
      });
      if (inside) return leave_out(name, "a link back to a folder that it is in");
      steps_.push_back(step);
      if (const Result<void> done = folder(name + "/"); !done) tree_.left_out.push_back(done.error().text());
      steps_.pop_back();
    }
  }

  std::string root_;
  const Match& match_;
  Tree& tree_;
  std::vector<Step> steps_;
};

void sort(Tree& tree) {
  std::sort(tree.entries.begin(), tree.entries.end(),
            [](const Entry& left, const Entry& right) { return left.name < right.name; });
}

}  // namespace

std::string Root::text(std::string_view name) const {
  if (local()) return path + std::string(name);
  return "s3://" + bucket.name() + "/" + prefix + std::string(name);
}

Result<Tree> walk_folder(const std::string& path, const Match& match) {
  Tree tree;
  NETSTOR_CHECK_RETURN(Walk(path, match, tree).folder(""));
  sort(tree);
  return tree;
}

Result<Tree> list_tree(const Bucket& bucket, const std::string& prefix, const Match& match,
                       FolderKeys folders) {
  Tree tree;
  ListOptions options;
  options.prefix = prefix;
  NETSTOR_CHECK_RETURN(each_page(bucket, options, [&](const ListPage& page) -> Result<void> {
    for (const ObjectInfo& object : page.objects) {
      if (!object.key.starts_with(prefix)) {
        return Error(ErrorKind::protocol,
                     "the service listed '" + object.key + "', which does not begin with " + prefix);
      }
      const bool stands_for_folder = object.key.ends_with('/') && object.size_bytes == 0;
      std::string name = object.key.substr(prefix.size());
      if (folders == FolderKeys::skip && (stands_for_folder || name.empty())) continue;
      if (match(name)) tree.entries.push_back({std::move(name), object.size_bytes, object.modified});
    }
    return ok();
  }));
  sort(tree);
  return tree;
}

Result<Tree> look(const Root& root, const Match& match, FolderKeys folders) {
  return root.local() ? walk_folder(root.path, match) : list_tree(root.bucket, root.prefix, match, folders);
}

bool fits_folder(std::string_view name) {
  for (;;) {
    const std::size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    if (part.empty() || part == "." || part == ".." || part.find('\0') != part.npos) return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

Result<void> each_page(const Bucket& bucket, ListOptions options,
                       const std::function<Result<void>(const ListPage&)>& take) {
  for (;;) {
    NETSTOR_TRY_RETURN(const ListPage page, bucket.list(options).get());
    NETSTOR_CHECK_RETURN(take(page));
    if (page.next.empty()) return ok();
    options.continuation = page.next;
  }
}

std::string dumped(const nlohmann::ordered_json& document) {
  return document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace netstor::tool
