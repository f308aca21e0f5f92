//! Plans every package of a tree of `<pkgbase>/.SRCINFO` files as origin, in every scope, and checks that the order of
//! each plan is valid. Prints the number of plans and their durations.
//!
//! `just plan-all FOLDER…`
#![allow(clippy::print_stdout, reason = "this program prints its results")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use buildbtw_model::{Architecture, Scope};
use buildbtw_planner::{PackageIndex, PlanRequest, parse_srcinfo, plan};

fn main() -> Result<(), Box<dyn Error>> {
    let folders: Vec<_> = std::env::args().skip(1).collect();
    if folders.is_empty() {
        return Err("usage: plan_all FOLDER…, each with <pkgbase>/.SRCINFO files".into());
    }
    for folder in folders {
        plan_all(Path::new(&folder))?;
    }
    Ok(())
}

fn plan_all(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut index = PackageIndex::new();
    let (mut read, mut rejected) = (0, 0);
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path().join(".SRCINFO");
        let Ok(bytes) = fs_err::read(path) else {
            continue;
        };
        read += 1;
        match parse_srcinfo(&String::from_utf8_lossy(&bytes)) {
            Ok(package) => drop(index.insert(Arc::new(package))),
            Err(error) => {
                rejected += 1;
                println!("{}: {error}", folder.display());
            }
        }
    }
    println!(
        "{}: {read} files, {rejected} rejected, {} packages",
        folder.display(),
        index.len()
    );
    let architecture: Architecture = "x86_64".parse()?;
    for &scope in Scope::ALL {
        let (mut plans, mut builds, mut largest, mut slowest) = (0, 0, 0, Duration::ZERO);
        let started = Instant::now();
        for package in index.iter() {
            let before = Instant::now();
            let request = PlanRequest::new(architecture.clone(), vec![Arc::clone(package)], scope);
            let plan = plan(&index, &request);
            slowest = slowest.max(before.elapsed());
            for (place, build) in plan.builds.iter().enumerate() {
                if build.needs.iter().any(|need| need.build >= place) {
                    return Err(format!("{} {scope}: invalid order", package.pkgbase()).into());
                }
            }
            plans += 1;
            builds += plan.builds.len();
            largest = largest.max(plan.builds.len());
        }
        println!(
            "  {scope:10} {plans} plans, {builds} builds, the largest {largest}; {:.1?} in all, slowest {:.1?}",
            started.elapsed(),
            slowest
        );
    }
    Ok(())
}
