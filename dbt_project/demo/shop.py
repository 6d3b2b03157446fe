"""A shop, on the web and on iOS: other events, so other settings."""

from dbt_project.demo.people import App, Experiment, Step

BOTH = ("web", "ios")

APP = App(
    title="made-up shop",
    prefix="shopper_",
    settings={"KEY_EVENT": "order_placed", "ROLLUP_SEEDS": "dbt_project/shop"},
    weekdays=(1.0, 0.9, 0.9, 1.0, 0.95, 1.15, 1.35),  # people shop on Sundays
    peaks=((12.5, 1.4), (20.3, 1.7)),
    peak_weights=(3, 7),
    openings=("visit", "campaign_visit"),
    asides=("search_performed", "review_read", "wishlist_opened", "help_opened"),
    steps=(
        Step(0.75, (("product_viewed",),), times=5),
        Step(0.45, (("added_to_cart",),), times=2),
        Step(0.6, (("checkout_started",),)),
        Step(0.75, (("order_placed",),)),
    ),
    slow="product_viewed",
    facts={"order_placed": {"currency": "EUR"}},
    platforms={"web": (60, 0.8, 0), "ios": (40, 1.1, 4)},
    sources={"search": (45, 0.9), "ads": (30, 0.6), "newsletter": (20, 1.5), None: (5, 1.0)},
    releases=(("8.2", -9), ("8.1", -28)),
    oldest="8.0",
    experiments={
        "exp_one_page_checkout": Experiment(
            -60, None, BOTH, (("A", "three pages", 0.5), ("B", "one page", 0.5))
        ),
        "exp_product_video": Experiment(
            -33, None, BOTH, (("A", "pictures", 0.5), ("B", "video", 0.5))
        ),
    },
    winner="exp_one_page_checkout",
    lift=0.2,
    joins=("signup", 0.3),
)
