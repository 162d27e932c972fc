"""Different stories about one company in the same words, as its press office or a fan writes them.

Each template was filled by hand three or four times with another event, not with another number
alone. No company, person or ticker here is real.
"""

from __future__ import annotations

from typing import NamedTuple


class Template(NamedTuple):
    """What its texts have in common is how they are put; none may pass for a copy of another."""

    style: str
    """``tweet``, ``headline``, ``release`` or ``chinese``"""
    texts: tuple[str, ...]


TEMPLATES = (
    Template(
        "tweet",
        (
            "$HALVEX Halvex beats Q2 earnings estimates as revenue climbs 8%",
            "$HALVEX Halvex misses Q3 revenue estimates as cloud sales slow to 2%",
            "$HALVEX Halvex tops Q4 profit estimates as cost cuts lift margin to 31%",
            "$HALVEX Halvex trims Q1 margin estimates as memory prices jump 40%",
        ),
    ),
    Template(
        "tweet",
        (
            "$TARNWK Tarnwick upgraded to Buy at Pellgrave on lower drilling costs, price target "
            "raised to $42",
            "$TARNWK Tarnwick downgraded to Sell at Morrow & Finch on refinery outage, price "
            "target cut to $27",
            "$TARNWK Tarnwick started with Hold at Castellan on stretched balance sheet, price "
            "target set at $33",
            "$TARNWK Tarnwick reiterated as Buy at Quillon on North Sea find, price target kept "
            "at $45",
        ),
    ),
    Template(
        "tweet",
        (
            "BREAKING: Oldenmoor CEO steps down after accounting probe, shares halted",
            "BREAKING: Oldenmoor CFO arrested after customs raid, shares plunge",
            "BREAKING: Oldenmoor founder returns after board revolt, shares surge",
            "BREAKING: Oldenmoor plant burns down after explosion, shares halted",
        ),
    ),
    Template(
        "tweet",
        (
            "Watching $VALDRA Valdora today, bouncing off support at 18.20 with heavy call buying",
            "Watching $VALDRA Valdora today, failing at resistance at 21 with short interest "
            "rising",
            "Watching $VALDRA Valdora today, stuck under the 200 day with no volume at all",
        ),
    ),
    Template(
        "tweet",
        (
            "Unusual options activity in $KESTRL Kestrelmark: 9,000 March 50 calls bought, "
            "someone is betting on a takeover",
            "Unusual options activity in $KESTRL Kestrelmark: 14,000 June 30 puts bought, someone "
            "is hedging the trial verdict",
            "Unusual options activity in $KESTRL Kestrelmark: 6,500 May straddles sold, someone "
            "is expecting dull earnings",
        ),
    ),
    Template(
        "tweet",
        (
            "I just sold all my $PENDRY Pendry Motors, the recall of the E4 will cost them a "
            "fortune",
            "I just doubled my $PENDRY Pendry Motors, the battery deal with Norquist will make "
            "them a fortune",
            "I just shorted $PENDRY Pendry Motors, the dealers tell me the lots are full and "
            "nobody buys",
        ),
    ),
    Template(
        "tweet",
        (
            "Insider alert: Glasnock director sells 40,000 $GLSNCK shares at $18.70 a day before "
            "guidance",
            "Insider alert: Glasnock chief executive buys 100,000 $GLSNCK shares at $12.10 after "
            "the selloff",
            "Insider alert: Glasnock treasurer gives 25,000 $GLSNCK shares to a family trust "
            "before retirement",
        ),
    ),
    Template(
        "tweet",
        (
            "So Brindlecove ($BRNDLC) raises prices again and people still queue, that is what a "
            "moat looks like",
            "So Brindlecove ($BRNDLC) closes stores again and people still call it growth, that "
            "is what denial looks like",
            "So Brindlecove ($BRNDLC) issues shares again and people still cheer, that is what "
            "dilution looks like",
        ),
    ),
    Template(
        "tweet",
        (
            "Top story: Marrowgate outage leaves thousands of customers without online banking "
            "$MARROW",
            "Top story: Marrowgate settlement pays thousands of customers for hidden fees $MARROW",
            "Top story: Marrowgate leak exposes thousands of customers to identity fraud $MARROW",
            "Top story: Marrowgate closes branches, thousands of customers must drive to the city "
            "$MARROW",
        ),
    ),
    Template(
        "tweet",
        (
            "Ferncastle Pharma pops 22% premarket after migraine drug meets main goal $FERNCP "
            "#biotech #stocks",
            "Ferncastle Pharma drops 35% premarket after FDA rejects asthma inhaler $FERNCP "
            "#biotech #stocks",
            "Ferncastle Pharma slips 4% premarket after pricing share sale at a discount $FERNCP "
            "#biotech #stocks",
            "Ferncastle Pharma gains 6% premarket after rival recalls insulin pump $FERNCP "
            "#biotech #stocks",
        ),
    ),
    Template(
        "tweet",
        (
            "Why is nobody talking about the cash pile at $SNDLMR Sandelmoor? Buyback incoming, "
            "mark my words",
            "Why is nobody talking about the pension hole at $SNDLMR Sandelmoor? Dividend cut "
            "incoming, mark my words",
            "Why is nobody talking about the patent cliff at $SNDLMR Sandelmoor? Profit warning "
            "incoming, mark my words",
        ),
    ),
    Template(
        "headline",
        (
            "Halden Rail Q1 net profit rises 12 pct on freight demand",
            "Halden Rail Q2 operating loss widens to 80 mln on flood damage",
            "Halden Rail Q3 revenue falls 7 pct on driver strike",
            "Halden Rail full-year net profit doubles on sale of depots",
        ),
    ),
    Template(
        "headline",
        (
            "UPDATE 1-Corvane says to cut 3,000 jobs at German plants",
            "UPDATE 1-Corvane says to build $2 bln battery plant in Ohio",
            "UPDATE 1-Corvane says to recall 400,000 pickups over brakes",
            "UPDATE 1-Corvane says to appeal diesel fine of 90 mln euros",
        ),
    ),
    Template(
        "headline",
        (
            "Westmarl Bank shares fall after regulator opens money laundering inquiry",
            "Westmarl Bank shares rise after regulator approves special dividend",
            "Westmarl Bank shares fall after chief quits over loan losses",
            "Westmarl Bank shares rise after regulator delays capital rules",
        ),
    ),
    Template(
        "headline",
        (
            "Judge dismisses investor lawsuit against Tollivant over opioid risks",
            "Judge approves $310 mln settlement with Tollivant over defective hips",
            "Judge revives patent lawsuit against Tollivant over eczema cream",
        ),
    ),
    Template(
        "headline",
        (
            "Ratings agency lowers Castrane to junk, citing debt from mine purchase",
            "Ratings agency raises Castrane to A-minus, citing sale of coal business",
            "Ratings agency puts Castrane on review, citing strike at copper mine",
        ),
    ),
    Template(
        "headline",
        (
            "Japan's Mizukano to buy U.S. robot maker for $1.4 bln in cash",
            "Japan's Mizukano to sell U.S. printer unit for $300 mln in cash",
            "Japan's Mizukano to merge U.S. lens business with Korean rival",
        ),
    ),
    Template(
        "headline",
        (
            "EU fines Ardenwerk 420 mln euros for fixing prices of truck axles",
            "EU clears Ardenwerk's 2.1 bln euro purchase of truck parts rival",
            "EU probes Ardenwerk's 600 mln euro state loan for truck plant in Saxony",
        ),
    ),
    Template(
        "headline",
        (
            "Exclusive: Lindhollow in talks to sell generics unit to private equity - sources",
            "Exclusive: Lindhollow close to hiring finance chief of rival - sources",
            "Exclusive: Lindhollow under investigation for bribes in Brazil - sources",
            "Exclusive: Lindhollow weighs bankruptcy filing as lenders balk - sources",
        ),
    ),
    Template(
        "headline",
        (
            "Stavanmere shuts Gulf pipeline after leak, cuts third-quarter output forecast",
            "Stavanmere restarts Gulf pipeline after repairs, keeps third-quarter output forecast",
            "Stavanmere sells Gulf pipeline to rival, lifts third-quarter output forecast",
        ),
    ),
    Template(
        "headline",
        (
            "Chipmaker Quorvane sees first-quarter revenue above estimates on demand for AI "
            "servers",
            "Chipmaker Quorvane sees second-quarter profit below estimates on slump in phone sales",
            "Chipmaker Quorvane sees full-year spending above estimates on new plant in Arizona",
        ),
    ),
    Template(
        "headline",
        (
            "Airline Skyharrow says December traffic up 9 pct, load factor at 84 pct",
            "Airline Skyharrow says pilots' strike over, first flights on Thursday",
            "Airline Skyharrow says data of 2 mln flyers stolen, cards among them",
        ),
    ),
    Template(
        "release",
        (
            "Bexley Systems Inc. (NASDAQ: BXLYSY), a leading provider of supply chain software, "
            "today announced results for its second quarter ended June 30, with revenue of $212 "
            "million and a net loss of $9 million as customers delayed renewals.",
            "Bexley Systems Inc. (NASDAQ: BXLYSY), a leading provider of supply chain software, "
            "today announced that it has completed the acquisition of Portward Analytics for $85 "
            "million in cash and expects the deal to add to earnings next year.",
            "Bexley Systems Inc. (NASDAQ: BXLYSY), a leading provider of supply chain software, "
            "today announced that its board of directors has authorized the repurchase of up to "
            "$150 million of common stock over two years.",
            "Bexley Systems Inc. (NASDAQ: BXLYSY), a leading provider of supply chain software, "
            "today announced that Maria Delacourt will succeed Tom Hask as chief financial "
            "officer on October 1.",
        ),
    ),
    Template(
        "release",
        (
            "Greyfell Therapeutics today announced positive topline results from its Phase 3 "
            "trial of GT-101 in patients with severe asthma, which met its primary endpoint.",
            "Greyfell Therapeutics today announced the discontinuation of its Phase 2 trial of "
            "GT-204 in patients with advanced melanoma after an analysis of futility.",
            "Greyfell Therapeutics today announced that the first patient has been dosed in its "
            "Phase 1 trial of GT-330 in sickle cell disease.",
            "Greyfell Therapeutics today announced a clinical hold by the FDA on its Phase 2 "
            "trial of GT-204 in patients with lupus after a case of liver injury.",
        ),
    ),
    Template(
        "release",
        (
            "Ashmoor Gold Ltd. is pleased to report drill results from its Silverbark project in "
            "Nevada, including 14.2 metres grading 6.1 grams of gold per tonne.",
            "Ashmoor Gold Ltd. is pleased to report the closing of its private placement for "
            "gross proceeds of 12 million dollars, to be spent on its Silverbark project in "
            "Nevada.",
            "Ashmoor Gold Ltd. is pleased to report the appointment of Helen Vance, who built two "
            "mines in Nevada, to its board of directors.",
        ),
    ),
    Template(
        "release",
        (
            "The board of directors of Danforth Mills declared a quarterly dividend of $0.35 per "
            "share, payable on September 15 to shareholders of record on August 31.",
            "The board of directors of Danforth Mills suspended its quarterly dividend and "
            "withdrew its guidance to preserve cash during the strike.",
            "The board of directors of Danforth Mills rejected an unsolicited proposal of $48 per "
            "share from Coldwater Partners as inadequate to shareholders.",
        ),
    ),
    Template(
        "release",
        (
            "Hartwell & Roe LLP reminds investors in Ivarsund Corp. of the June 5 deadline to "
            "seek appointment as lead plaintiff in a class action alleging that reserves were "
            "overstated.",
            "Hartwell & Roe LLP reminds investors in Ivarsund Corp. of the November 20 deadline "
            "to seek appointment as lead plaintiff in a class action alleging that the merger "
            "proxy hid a lower bid.",
            "Hartwell & Roe LLP reminds investors in Ivarsund Corp. of the January 8 deadline to "
            "seek appointment as lead plaintiff in a class action alleging kickbacks to port "
            "officials.",
        ),
    ),
    Template(
        "release",
        (
            "Thornbury Foods announces a voluntary recall of its frozen spinach because of "
            "possible listeria. No illnesses have been reported.",
            "Thornbury Foods announces a voluntary recall of its peanut bars because of "
            "undeclared milk. Two allergic reactions have been reported.",
            "Thornbury Foods announces a voluntary recall of its tomato salsa because of glass in "
            "three jars. One injury has been reported.",
        ),
    ),
    Template(
        "release",
        (
            "Kelstrand Renewables signs 15-year agreement with Baltic steelmaker Orvo for 200 "
            "megawatts of offshore wind power, starting in spring.",
            "Kelstrand Renewables signs 5-year agreement with turbine maker Halm for maintenance "
            "of 48 turbines in the Irish Sea.",
            "Kelstrand Renewables terminates 15-year agreement with Baltic steelmaker Orvo for "
            "failure to pay and writes off 60 million euros.",
        ),
    ),
    Template(
        "release",
        (
            "Meridock Shipping operational update: two tankers are detained in the Black Sea, and "
            "charter income for the quarter will be lower than expected.",
            "Meridock Shipping operational update: four new gas carriers left the yard ahead of "
            "time, and charter income for the quarter will be higher than expected.",
            "Meridock Shipping operational update: the fire on board the Meridock Star is under "
            "control, the crew is safe, and the cargo is lost.",
        ),
    ),
    Template(
        "chinese",
        (
            "澜川科技公告：上半年净利润同比增长35%，主要受益于海外订单大增",
            "澜川科技公告：第三季度营业收入同比下降12%，主要因为原材料涨价",
            "澜川科技公告：全年研发投入同比翻番，主要用于自动驾驶芯片",
            "澜川科技公告：前三季度由盈转亏，主要因为大客户破产计提坏账",
        ),
    ),
    Template(
        "chinese",
        (
            "北屿生物：公司收到证监会立案告知书，涉嫌信息披露违法违规",
            "北屿生物：公司收到药监局批准通知书，四价流感疫苗获准上市",
            "北屿生物：公司收到法院终审判决书，专利侵权案败诉须赔偿两亿元",
        ),
    ),
    Template(
        "chinese",
        (
            "启岳银行：行长因个人原因辞职，董事会聘任副行长代行职责",
            "启岳银行：董事会通过分红预案，每十股派发现金红利三元",
            "启岳银行：因贷款三查不到位，被银保监局罚款四百万元",
        ),
    ),
    Template(
        "chinese",
        (
            "【快讯】云岫汽车宣布召回3.2万辆电动车，因电池存在起火隐患",
            "【快讯】云岫汽车宣布全系车型降价，最高下调2万元",
            "【快讯】云岫汽车宣布与北欧电池厂合资建厂，总投资60亿元",
            "【快讯】云岫汽车宣布暂停夜班生产，因芯片供应不足",
        ),
    ),
    Template(
        "chinese",
        (
            "恒渡地产：控股股东拟减持不超过2%的股份，用于偿还股票质押贷款",
            "恒渡地产：控股股东拟增持不低于1亿元的股份，看好公司长期价值",
            "恒渡地产：控股股东所持全部股份被司法冻结，涉及建设工程合同纠纷",
        ),
    ),
    Template(
        "chinese",
        (
            "中屿证券：维持青砾能源买入评级，目标价上调至28元，看好海上风电订单",
            "中屿证券：下调青砾能源评级至中性，目标价下调至15元，担忧煤价回落",
            "中屿证券：首次覆盖青砾能源，给予增持评级，目标价21元，储能业务放量",
        ),
    ),
    Template(
        "chinese",
        (
            "泊远物流今天又跌停了，听说大客户的订单被对手抢走，我割肉了",
            "泊远物流今天终于涨停了，听说冷链项目中标，我满仓了",
            "泊远物流今天突然停牌了，听说要被国企收购，我等复牌",
        ),
    ),
    Template(
        "chinese",
        (
            "星桓半导体董事会及全体董事保证公告内容真实、准确、完整。公司近日收到政府补助8000万元，"
            "将计入当期损益",
            "星桓半导体董事会及全体董事保证公告内容真实、准确、完整。公司近日与客户解除晶圆供货合同，"
            "涉及金额11亿元",
            "星桓半导体董事会及全体董事保证公告内容真实、准确、完整。公司近日发生氮气泄漏事故，"
            "厂区停产检查，无人员伤亡",
        ),
    ),
)
