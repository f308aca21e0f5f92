//! Real distributions.

use std::sync::Arc;

use buildbtw_model::Scope;
use buildbtw_planner::parse_srcinfo;

use crate::generate::corpus;
use crate::support::{check_shape, index, plan_of};

#[test]
fn real_distributions_have_plans_in_every_scope() {
    for (name, origins) in [
        ("archlinuxcn", &["libpng-apng", "julia-git"][..]),
        ("mingw", &["mingw-w64-zlib", "mingw-w64-headers"]),
    ] {
        let Some(texts) = corpus(name) else { continue };
        let packages: Vec<_> = texts
            .iter()
            .map(|text| Arc::new(parse_srcinfo(text).unwrap()))
            .collect();
        let index = index(packages);
        for origin in origins {
            for &scope in Scope::ALL {
                let start = std::time::Instant::now();
                let plan = plan_of(&index, &[origin], scope);
                let took = start.elapsed();
                let broken: usize = plan.cycles.iter().map(|c| c.broken.len()).sum();
                println!(
                    "{name} {origin} {scope}: {} of {} builds, {} levels, {} needs, cycles {:?}, broken {broken}, relaxed {}, {took:?}",
                    plan.builds.len(),
                    plan.pkgbases().len(),
                    plan.levels(),
                    plan.builds.iter().map(|b| b.needs.len()).sum::<usize>(),
                    plan.cycles
                        .iter()
                        .map(|c| c.members.len())
                        .filter(|&n| n > 3)
                        .collect::<Vec<_>>(),
                    plan.relaxed().len(),
                );
                check_shape(&plan);
            }
        }
    }
}
